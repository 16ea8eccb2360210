//! Refusals of sizes that this process has no memory for, before anything of that size is made: a failed
//! allocation ends a program without a word.

/// Checks that `counts` multiplied, times so many 32-bit numbers each, can be allocated. The system
/// answers for its memory and for limits of the process.
///
/// # Errors
/// The memory that is needed.
pub(crate) fn check(what: &str, counts: &[usize], numbers: usize) -> Result<(), String> {
    let all = counts.iter().fold(4 * numbers as u128, |product, count| {
        product.saturating_mul(*count as u128)
    });
    let fits = usize::try_from(all).is_ok_and(|bytes| {
        // Reserved and given back: no page of it is touched.
        bytes < isize::MAX as usize && Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
    });
    match fits {
        true => Ok(()),
        false => Err(format!(
            "{what} needs at least {} GiB of memory, more than there is; make it smaller",
            all.div_ceil(1 << 30)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_allocated_is_refused_with_its_size() {
        assert_eq!(check("a batch", &[2, 64, 64], 4), Ok(()));
        let said = check("a batch", &[1 << 20, 1 << 20], 1 << 8).unwrap_err();
        assert!(
            said.starts_with("a batch needs at least 1048576 GiB"),
            "{said}"
        );
        assert!(check("a batch", &[usize::MAX; 9], 1).is_err());
    }
}
