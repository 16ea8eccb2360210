//! Value and gradient of a loss on plain arrays.
//!
//! ```sh
//! cargo run --example value_and_gradient -- '-(y * log(yhat))'
//! ```

use autoloss_expr::{Program, Shape, Tree, Workspace};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let formula = std::env::args().nth(1);
    let formula = formula.as_deref().unwrap_or("-(y * log(yhat))");
    let tree = Tree::parse(formula, &["yhat", "y"])?;
    // The gradient with respect to the prediction alone is computed.
    let program = Program::new(&tree, &[("yhat", true), ("y", false)])?;

    // One sample of two classes and three pixels: the pixels of class 0, then those of class 1.
    let shape = Shape::new(1, 2, 1, 3);
    let yhat = [0.9, 0.5, 0.2, 0.1, 0.5, 0.8];
    let y = [1.0, 1.0, 0.0, 0.0, 0.0, 1.0];

    // Buffers that further calls use again.
    let mut workspace = Workspace::new();
    let mut gradients = [Vec::new(), Vec::new()];
    let loss_value = program.gradient(&mut workspace, shape, &[&yhat, &y], &mut gradients);
    println!("{tree} = {loss_value:.4}");
    for (class, gradient) in gradients[0].chunks(3).enumerate() {
        println!("gradient at class {class}: {gradient:.3?}");
    }
    Ok(())
}
