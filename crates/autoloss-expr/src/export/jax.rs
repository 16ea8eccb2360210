//! JAX: a module with a plain function of arrays, in single precision at least.

use super::error::ExportError;
use super::format::Format;
use super::python::{Dialect, Function, functions, module};
use super::source::Export;
use super::term::Word;

pub(super) const FORMAT: Format = Format {
    name: "jax",
    about: "Python code for JAX",
    is_text: true,
    write,
};

const DIALECT: Dialect = Dialect {
    call,
    constant: "jnp.full_like({input}, {})",
    broadcast: "jnp.broadcast_to({}, {input}.shape)",
    reduced: "{}.sum(axis=1).mean()",
    reduced_alike: "{input}.shape[1] * {}.mean()",
    names: &["jax", "jnp", "widened", "absolute"],
};

const fn call(word: Word) -> &'static str {
    match word {
        Word::Neg => "-{}",
        Word::Recip => "1 / {}",
        Word::Abs => "absolute({})",
        Word::Sign => "jnp.sign({})",
        Word::Exp => "jnp.exp({})",
        Word::Ln => "jnp.log({})",
        Word::Tanh => "jnp.tanh({})",
        Word::Sqrt => "jnp.sqrt({})",
        Word::Sin => "jnp.sin({})",
        Word::Cos => "jnp.cos({})",
        Word::Atan => "jnp.arctan({})",
        Word::Erf => "jax.lax.erf({})",
        Word::MeanNhw => "jnp.mean({}, axis=positions, keepdims=True)",
        Word::MeanC => "jnp.mean({}, axis=1, keepdims=True)",
        Word::MaxPool => "max_pool({})",
        Word::MinPool => "min_pool({})",
        Word::SoftmaxC => "jax.nn.softmax({}, axis=1)",
    }
}

const WIDENED: &str = "def widened(x):
    \"\"\"The array in single precision at least: EPS is 0 in half precision.\"\"\"
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
";

const ABSOLUTE: &str = "def absolute(x):
    \"\"\"|x|, whose gradient at 0 is 0; that of jnp.abs is 1 there.\"\"\"
    return x * jnp.sign(x)
";

const MAX_POOL: &str = "def max_pool(x):
    \"\"\"Maximum of each element and its neighbours, (N, C, *S) -> (N, C, *S).\"\"\"
    window = (1, 1) + (3,) * (x.ndim - 2)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, (1,) * x.ndim, \"SAME\")
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
    let needs = |word: &str| functions.iter().any(|(_, text)| text.contains(word));
    let head = match needs("jax.") || needs("_pool(") {
        true => "import jax\nimport jax.numpy as jnp\n",
        false => "import jax.numpy as jnp\n",
    };
    let helpers = [
        ("widened(", WIDENED),
        ("absolute(", ABSOLUTE),
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
    let mut line = |line: &str| text.push_str(&format!("    {line}\n"));
    for (name, _) in &function.arguments {
        line(&format!("{name} = widened({name})"));
    }
    for (name, _) in &function.arguments[1..] {
        line(&format!("if {name}.shape != {first}.shape:"));
        line(&format!(
            "    raise ValueError(f\"{name} has the shape {{{name}.shape}}, expected that of {first}, {{{first}.shape}}\")"
        ));
    }
    if let Some(prediction) = function.prediction() {
        line("if from_logits:");
        line(&format!(
            "    {prediction} = jax.nn.softmax({prediction}, axis=1)"
        ));
    }
    let uses = |word: &str| {
        function
            .lines
            .iter()
            .chain([&function.result])
            .any(|l| l.contains(word))
    };
    if uses("axis=positions") {
        line(&format!("positions = (0, *range(2, {first}.ndim))"));
    }
    for computed in &function.lines {
        line(computed);
    }
    line(&format!("return {}", function.result));
    text
}
