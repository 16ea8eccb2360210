//! Burn tensors as fields of the language of losses: a loss computed on any device, with Burn's
//! own differentiation and no list of operators.

use std::ops::{Add, Mul, Neg, Sub};

use autoloss_expr::{Arithmetic, Field};
use burn::tensor::{Bool, Tensor, activation};

/// A tensor of shape (N, C, H, W) as a field.
#[derive(Clone, Debug)]
pub struct TensorField(pub Tensor<4>);

impl Add for TensorField {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0)
    }
}

impl Sub for TensorField {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self(self.0 - o.0)
    }
}

impl Mul for TensorField {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self(self.0 * o.0)
    }
}

impl Neg for TensorField {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Arithmetic for TensorField {
    fn like(&self, c: f64) -> Self {
        Self(self.0.full_like(c))
    }
    fn abs(self) -> Self {
        Self(self.0.abs())
    }
    fn sign(self) -> Self {
        Self(self.0.sign())
    }
    fn recip(self) -> Self {
        Self(self.0.recip())
    }
    fn exp(self) -> Self {
        Self(self.0.exp())
    }
    fn ln(self) -> Self {
        Self(self.0.log())
    }
    fn tanh(self) -> Self {
        Self(self.0.tanh())
    }
    fn sqrt(self) -> Self {
        Self(self.0.sqrt())
    }
    fn sin(self) -> Self {
        Self(self.0.sin())
    }
    fn cos(self) -> Self {
        Self(self.0.cos())
    }
    fn atan(self) -> Self {
        Self(self.0.atan())
    }
    fn erf(self) -> Self {
        Self(self.0.erf())
    }
}

/// The field moved by (down, right) pixels, the border repeated: neighbours outside the image
/// become copies of pixels that are in the window anyway, so that they change no extremum.
fn neighbour(x: &Tensor<4>, rows: i64, columns: i64) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    shifted(shifted(x.clone(), 2, rows, h), 3, columns, w)
}

fn shifted(x: Tensor<4>, dim: usize, by: i64, length: usize) -> Tensor<4> {
    match by {
        _ if by == 0 || length == 1 => x,
        -1 => Tensor::cat(
            vec![x.clone().narrow(dim, 0, 1), x.narrow(dim, 0, length - 1)],
            dim,
        ),
        _ => Tensor::cat(
            vec![
                x.clone().narrow(dim, 1, length - 1),
                x.narrow(dim, length - 1, 1),
            ],
            dim,
        ),
    }
}

/// 3×3 pooling by comparing the nine neighbours in row order: the first extremum keeps the
/// gradient, as PyTorch has it.
fn pool(x: &Tensor<4>, better: impl Fn(&Tensor<4>, &Tensor<4>) -> Tensor<4, Bool>) -> Tensor<4> {
    let mut best: Option<Tensor<4>> = None;
    for rows in [-1, 0, 1] {
        for columns in [-1, 0, 1] {
            let other = neighbour(x, rows, columns);
            best = Some(match best {
                None => other,
                Some(best) => {
                    let mask = better(&other, &best);
                    best.mask_where(mask, other)
                }
            });
        }
    }
    best.expect("nine neighbours")
}

impl Field for TensorField {
    fn mean_nhw(self) -> Self {
        let shape = self.0.dims();
        let mean = self.0.mean_dim(0).mean_dim(2).mean_dim(3);
        Self(mean.expand(shape))
    }
    fn mean_c(self) -> Self {
        let shape = self.0.dims();
        Self(self.0.mean_dim(1).expand(shape))
    }
    fn max_pool(self) -> Self {
        Self(pool(&self.0, |a, b| a.clone().greater(b.clone())))
    }
    fn min_pool(self) -> Self {
        Self(pool(&self.0, |a, b| a.clone().lower(b.clone())))
    }
    fn softmax_c(self) -> Self {
        Self(activation::softmax(self.0, 1))
    }
}
