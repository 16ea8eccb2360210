//! PyTorch: a module with a plain function of tensors, in single precision at least, that `torch.compile` and
//! `torch.export` take.

use super::error::ExportError;
use super::format::Format;
use super::python::{Dialect, Function, functions, module};
use super::source::Export;
use super::term::Word;

pub(super) const FORMAT: Format = Format {
    name: "pytorch",
    about: "Python code for PyTorch",
    is_text: true,
    write,
};

const DIALECT: Dialect = Dialect {
    call,
    // `torch.full_like` refuses numbers beyond those of the tensor's type.
    constant: "torch.zeros_like({input}) + {}",
    broadcast: "{}.expand_as({input})",
    reduced: "{}.sum(dim=1).mean()",
    reduced_alike: "{input}.shape[1] * {}.mean()",
    names: &["torch", "F", "widened", "functional"],
};

const fn call(word: Word) -> &'static str {
    match word {
        Word::Neg => "-{}",
        Word::Recip => "1 / {}",
        Word::Abs => "torch.abs({})",
        Word::Sign => "torch.sign({})",
        Word::Exp => "torch.exp({})",
        Word::Ln => "torch.log({})",
        Word::Tanh => "torch.tanh({})",
        Word::Sqrt => "torch.sqrt({})",
        Word::Sin => "torch.sin({})",
        Word::Cos => "torch.cos({})",
        Word::Atan => "torch.atan({})",
        Word::Erf => "torch.erf({})",
        Word::MeanNhw => "torch.mean({}, dim=positions, keepdim=True)",
        Word::MeanC => "torch.mean({}, dim=1, keepdim=True)",
        Word::MaxPool => "max_pool({})",
        Word::MinPool => "min_pool({})",
        Word::SoftmaxC => "torch.softmax({}, dim=1)",
    }
}

const WIDENED: &str = "def widened(x):
    \"\"\"The tensor in single precision at least: EPS is 0 in half precision.\"\"\"
    return x.to(torch.promote_types(x.dtype, torch.float32))
";

const MAX_POOL: &str = "def max_pool(x):
    \"\"\"Maximum of each element and its neighbours, (N, C, *S) -> (N, C, *S).\"\"\"
    pool = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}.get(x.ndim)
    return x if pool is None else pool(x, 3, stride=1, padding=1)
";

const MIN_POOL: &str = "def min_pool(x):
    \"\"\"Minimum of each element and its neighbours, (N, C, *S) -> (N, C, *S).\"\"\"
    return -max_pool(-x)
";

fn write(export: &Export) -> Result<Vec<u8>, ExportError> {
    export.without_natives(FORMAT.name)?;
    let functions = functions(export, &DIALECT).into_iter();
    let functions: Vec<(Function, String)> = functions
        .map(|f| {
            let text = text(&f);
            (f, text)
        })
        .collect();
    let pools = functions.iter().any(|(_, text)| text.contains("_pool("));
    let head = match pools {
        true => "import torch\nimport torch.nn.functional as F\n",
        false => "import torch\n",
    };
    let helpers = [
        ("widened(", WIDENED),
        ("_pool(", MAX_POOL),
        ("min_pool(", MIN_POOL),
    ];
    Ok(module(export, head, &helpers, &functions).into_bytes())
}

fn text(function: &Function) -> String {
    let first = &function.arguments[0].0;
    let mut text = format!(
        "{}\n    \"\"\"{}\"\"\"\n",
        function.head(),
        function.documentation()
    );
    for (name, _) in &function.arguments[1..] {
        text.push_str(&format!(
            "    if {name}.shape != {first}.shape:\n        raise ValueError(f\"{name} has the shape \
             {{tuple({name}.shape)}}, expected that of {first}, {{tuple({first}.shape)}}\")\n"
        ));
    }
    text.push_str(&format!(
        "    with torch.autocast(device_type={first}.device.type, enabled=False):\n"
    ));
    let mut line = |line: &str| text.push_str(&format!("        {line}\n"));
    for (name, _) in &function.arguments {
        line(&format!("{name} = widened({name})"));
    }
    if let Some(prediction) = function.prediction() {
        line("if from_logits:");
        line(&format!(
            "    {prediction} = torch.softmax({prediction}, dim=1)"
        ));
    }
    let uses = |word: &str| {
        function
            .lines
            .iter()
            .chain([&function.result])
            .any(|l| l.contains(word))
    };
    if uses("dim=positions") {
        line(&format!("positions = (0, *range(2, {first}.ndim))"));
    }
    for computed in &function.lines {
        line(computed);
    }
    line(&format!("return {}", function.result));
    text
}
