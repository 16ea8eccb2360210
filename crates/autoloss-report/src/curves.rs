//! A loss as a function of its prediction, at a single element: means and pooling are the identity
//! there, so that the curve shows the tree at one pixel, box or keypoint.

use autoloss_expr::Shape;
use autoloss_expr::Tree;
use autoloss_expr::reference::{ReferenceInput, gradient, loss_value};
use maud::{Markup, html};

use crate::plot::{Mark, Plot, Series, short};

const STEPS: u32 = 120;

/// Points of a curve: prediction and number, not a number where a pole is cut off.
pub type Points = Vec<(f64, f64)>;

/// A loss as a function of its prediction, for one target.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The target in words, such as `y = 1`.
    pub label: String,
    /// Loss value.
    pub value: Points,
    /// Slope of the loss value.
    pub gradient: Points,
}

/// The curves of a loss over one quantity.
#[derive(Clone, Debug)]
pub struct Curves {
    /// The quantity in words, such as `yhat`.
    pub x: String,
    /// A curve a target.
    pub curves: Vec<Curve>,
}

/// The quantity that is varied, and the inputs that follow from it.
struct Sweep {
    name: &'static str,
    label: String,
    range: [f64; 2],
    inputs: fn(f64, f64) -> Vec<(&'static str, f64)>,
    /// The input that the gradient is taken with respect to.
    of: &'static str,
    y: f64,
}

/// Value and gradient over the prediction, from 0 to 1 where that is a probability; `None` for a loss that has no value
/// at a single element, or uses inputs that are not known to follow from the prediction.
#[must_use]
pub fn curves(tree: &Tree, of_probabilities: bool) -> Option<Curves> {
    if tree.native().is_some() {
        return None;
    }
    let shape = Shape::new(1, 1, 1, 1);
    let with = |sweep: &Sweep, x: f64, f: &dyn Fn(&[ReferenceInput<'_>]) -> f64| {
        let values = (sweep.inputs)(x, sweep.y);
        let values: Vec<(&str, [f64; 1])> = values.into_iter().map(|(n, v)| (n, [v])).collect();
        let inputs = values
            .iter()
            .map(|(name, values)| ReferenceInput { name, values });
        f(&inputs.collect::<Vec<_>>())
    };
    let value = |sweep: &Sweep, x: f64| with(sweep, x, &|inputs| loss_value(tree, shape, inputs));
    let slope = |sweep: &Sweep, x: f64| match sweep.of {
        // Through several inputs at once: the difference between two near points.
        "" => (value(sweep, x + 1e-5) - value(sweep, x - 1e-5)) / 2e-5,
        of => with(sweep, x, &|inputs| gradient(tree, shape, inputs, of)[0]),
    };
    let sweeps = sweeps(tree, of_probabilities);
    let given = (sweeps[0].inputs)(0.0, 0.0);
    let is_given = |input: &str| given.iter().any(|(name, _)| *name == input);
    if !tree.inputs().into_iter().all(is_given) {
        return None;
    }
    let curve = |sweep: &Sweep| Curve {
        label: sweep.label.clone(),
        value: points(sweep, &value),
        gradient: points(sweep, &slope),
    };
    Some(Curves {
        x: sweeps[0].name.to_owned(),
        curves: sweeps.iter().map(curve).collect(),
    })
}

/// Value and gradient over the prediction, drawn; nothing for a loss that has no value at an element.
pub(super) fn svg(tree: &Tree, of_probabilities: bool) -> Markup {
    let Some(Curves { x, curves }) = curves(tree, of_probabilities) else {
        return html! {};
    };
    let plot = |title: &str, points: fn(Curve) -> Points| {
        let series = curves.iter().cloned().enumerate().map(|(k, curve)| {
            let label = curve.label.clone();
            let line = Series::line(&label, k, points(curve));
            if k == 1 {
                line.marked(Mark::Dashed)
            } else {
                line
            }
        });
        let mut series: Vec<Series> = series.collect();
        set_aside(&mut series);
        Plot {
            title: title.to_owned(),
            x: x.clone(),
            y: String::new(),
            series,
        }
        .svg()
    };
    html! {
        (plot("value", |curve| curve.value))
        (plot("gradient", |curve| curve.gradient))
    }
}

/// Takes a level line out of the picture that is so far from the other curve that it would flatten
/// it; its name then tells where it is.
fn set_aside(series: &mut [Series]) {
    let extent = |s: &Series| {
        let finite = s.points.iter().map(|p| p.1).filter(|v| v.is_finite());
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        })
    };
    let extents: Vec<(f64, f64)> = series.iter().map(extent).collect();
    for (k, (low, high)) in extents.iter().enumerate() {
        let Some((other_low, other_high)) = extents
            .iter()
            .enumerate()
            .find(|(j, _)| *j != k)
            .map(|(_, e)| *e)
        else {
            continue;
        };
        let range = other_high - other_low;
        let away = (low - other_high).max(other_low - high);
        if high - low < 1e-6 * high.abs() && range > 0.0 && away > 20.0 * range {
            series[k].points.clear();
            series[k].name += &format!(": {} throughout, beyond the picture", short(*low));
        }
    }
}

/// A box branch's loss is followed as the predicted box moves onto the target, two boxes of one size
/// side by side; others over `yhat`, for y = 0 and 1.
fn sweeps(tree: &Tree, of_probabilities: bool) -> Vec<Sweep> {
    let of_boxes = ["i", "u", "e", "d", "v"].iter().any(|name| tree.uses(name));
    if of_boxes {
        let inputs = |overlap: f64, _: f64| {
            let (union, apart) = (2.0 - overlap, 1.0 - overlap);
            let distance = apart * apart / (union * union + 1.0);
            vec![
                ("i", overlap),
                ("u", union),
                ("e", union),
                ("d", distance),
                ("v", 0.0),
                ("yhat", apart),
                ("y", 0.0),
            ]
        };
        return vec![Sweep {
            name: "share of the box that is covered",
            label: "two boxes of one size, side by side".to_owned(),
            range: [0.0, 1.0],
            inputs,
            of: "",
            y: 0.0,
        }];
    }
    let sweep = |y: f64| Sweep {
        name: "yhat",
        label: format!("y = {y}"),
        range: if of_probabilities {
            [0.0, 1.0]
        } else {
            [-1.0, 2.0]
        },
        inputs: |yhat, y| vec![("yhat", yhat), ("y", y), ("w", 0.5)],
        of: "yhat",
        y,
    };
    vec![sweep(0.0), sweep(1.0)]
}

/// The curve without its steepest ends: the part beyond the middle nine tenths by more than their own
/// extent is left out, so that a pole does not flatten the rest.
fn points(sweep: &Sweep, f: &dyn Fn(&Sweep, f64) -> f64) -> Points {
    let [low, high] = sweep.range;
    let at = |k: u32| low + (high - low) * f64::from(k) / f64::from(STEPS);
    let all: Vec<(f64, f64)> = (0..=STEPS).map(|k| (at(k), f(sweep, at(k)))).collect();
    let mut sorted: Vec<f64> = all.iter().map(|p| p.1).filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (
        sorted.get(sorted.len() / 20),
        sorted.iter().rev().nth(sorted.len() / 20),
    ) else {
        return Vec::new();
    };
    let room = (last - first).max(1e-9);
    let inside = |v: f64| (first - room..=last + room).contains(&v);
    let cut = |(x, v): (f64, f64)| (x, if inside(v) { v } else { f64::NAN });
    all.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(formula: &str) -> String {
        let names = ["yhat", "y", "i", "u", "e", "d", "v", "w", "other"];
        svg(&Tree::parse(formula, &names).unwrap(), true).into_string()
    }

    #[test]
    fn every_kind_of_loss_has_its_curves() {
        for formula in [
            "-(y * log(yhat))",
            "1 - i / u",
            "abs(yhat - y)",
            "inv(yhat - yhat)",
        ] {
            let svg = of(formula);
            assert_eq!(svg.matches("<svg").count(), 2, "{formula}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{formula}");
        }
        assert_eq!(of("ssim()"), "");
        assert_eq!(of("abs(yhat - other)"), "");
    }

    #[test]
    fn a_level_far_away_is_told_and_not_drawn() {
        let svg = of("sqrt(inv(yhat * y))");
        assert!(
            svg.contains("y = 0: 1.0e6 throughout, beyond the picture"),
            "{svg}"
        );
        assert!(!of("-(y * log(yhat))").contains("beyond"));
    }

    #[test]
    fn a_pole_does_not_flatten_the_rest() {
        let sweep = &sweeps(&Tree::input("yhat"), true)[0];
        let points = points(sweep, &|_, x| 1.0 / x);
        assert!(points[0].1.is_nan() && points[100].1.is_finite());
    }
}
