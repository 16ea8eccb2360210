//! COCO's compressed form of masks.

use super::Mask;
use super::error::MaskError;
use crate::coco::limits::MAX_PIXELS;

impl Mask {
    /// A mask from COCO's compressed form: each run as its difference to the
    /// one before the last, in groups of 5 bits, a character each.
    ///
    /// # Errors
    /// Characters outside of the form, runs that do not cover all pixels, too
    /// many pixels.
    pub fn from_compressed(text: &str, height: u32, width: u32) -> Result<Self, MaskError> {
        Self::from_runs(decode(text)?, height, width)
    }

    /// COCO's compressed form.
    #[must_use]
    pub fn to_compressed(&self) -> String {
        let mut text = String::with_capacity(2 * self.runs.len());
        for (index, &run) in self.runs.iter().enumerate() {
            let before = if index > 2 { self.runs[index - 2] } else { 0 };
            let mut rest = i64::from(run) - i64::from(before);
            loop {
                let group = (rest & 0x1f) as u8;
                rest >>= 5;
                // The highest bit of the last group is the sign.
                let last = rest == if group & 0x10 == 0 { 0 } else { -1 };
                let more = if last { 0 } else { 0x20 };
                text.push(char::from(FIRST + (group | more)));
                if last {
                    break;
                }
            }
        }
        text
    }
}

/// The character of an empty group.
const FIRST: u8 = b'0';

/// The runs of a compressed mask.
pub(in crate::coco) fn decode(text: &str) -> Result<Vec<u32>, MaskError> {
    let mut runs: Vec<u32> = Vec::with_capacity(text.len());
    let (mut value, mut shift) = (0_i64, 0_u32);
    for (position, byte) in text.bytes().enumerate() {
        let group = byte.wrapping_sub(FIRST);
        if group >= 0x40 {
            return Err(MaskError::Alphabet { position, byte });
        }
        let run = runs.len();
        // Seven groups hold every difference of two runs.
        if shift >= 35 {
            return Err(MaskError::Run { run });
        }
        value |= i64::from(group & 0x1f) << shift;
        shift += 5;
        if group & 0x20 != 0 {
            continue;
        }
        if group & 0x10 != 0 {
            value |= -1 << shift;
        }
        if run > 2 {
            value += i64::from(runs[run - 2]);
        }
        match u32::try_from(value) {
            Ok(length) if u64::from(length) <= MAX_PIXELS => runs.push(length),
            _ => return Err(MaskError::Run { run }),
        }
        (value, shift) = (0, 0);
    }
    match shift {
        0 => Ok(runs),
        _ => Err(MaskError::Truncated),
    }
}
