//! The Lovász extension of the Jaccard index.

use super::fields::{NativeAt, NativeFields};

/// For each class that occurs, the Lovász extension of its Jaccard loss at the errors |y − ŷ|; the
/// mean over these classes.
pub(super) fn lovasz_softmax(fields: &NativeFields<'_>, _: &[f64]) -> NativeAt {
    let counted = fields.counted();
    let mut at = NativeAt::zero(fields.shape.len());
    let mut present = 0;
    for c in 0..fields.shape.c {
        let error = |i: usize| (fields.y[i] - fields.yhat[i]).abs();
        // The bits of numbers that are not negative are in the numbers' order, and sort faster.
        let places = fields.channel(c).filter(|i| counted[*i]);
        let mut places: Vec<(u64, usize)> = places.map(|i| (!error(i).to_bits(), i)).collect();
        let positives = places.iter().filter(|(_, i)| fields.is(*i)).count();
        if positives == 0 {
            continue;
        }
        present += 1;
        places.sort_unstable();
        // The Jaccard loss of the errors looked at so far, worst first; its steps are the weights.
        let (mut missed, mut wrong) = (0_usize, 0_usize);
        let mut before = 0.0;
        for (_, place) in places {
            match fields.is(place) {
                true => missed += 1,
                false => wrong += 1,
            }
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 pixels")]
            let jaccard = 1.0 - (positives - missed) as f64 / (positives + wrong) as f64;
            let weight = jaccard - before;
            before = jaccard;
            at.loss_value += weight * error(place);
            let sign = fields.yhat[place] - fields.y[place];
            at.gradient[place] = weight * crate::arithmetic::sign(sign);
        }
    }
    let share = 1.0 / f64::from(present.max(1));
    at.loss_value *= share;
    at.gradient.iter_mut().for_each(|g| *g *= share);
    at
}
