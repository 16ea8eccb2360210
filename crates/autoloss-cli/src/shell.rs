//! Words of commands that can be pasted into a shell.

use std::path::Path;

/// A word as a shell reads it back: in quotes where it holds anything but plain characters.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./@%+=:,#".contains(c);
    // A `#` at the beginning is a comment, a `-` an option.
    match !text.is_empty() && text.chars().all(plain) && !text.starts_with(['#', '-']) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// A path as a word; one that begins like an option is given from the current folder.
pub(crate) fn path(path: &Path) -> String {
    let text = path.display().to_string();
    match text.starts_with('-') {
        true => word(&format!("./{text}")),
        false => word(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        assert_eq!(word("runs/digits-miou-1"), "runs/digits-miou-1");
        assert_eq!(word("my run"), "'my run'");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(word(""), "''");
        assert_eq!(path(Path::new("-r")), "./-r");
    }
}
