//! Tables of text with aligned columns.

/// A table; the first row is its head.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these columns; a name that begins with `>` is aligned to the right.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let right = columns.iter().map(|c| c.starts_with('>')).collect();
        let head = columns.iter().map(|c| c.trim_start_matches('>').to_owned());
        Self {
            rows: vec![head.collect()],
            right,
        }
    }

    /// Adds a row with a cell a column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let cell = match right {
                    true => format!("{cell:>width$}  "),
                    false => format!("{cell:<width$}  "),
                };
                line.push_str(&cell);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["loss", ">score"]);
        table.row(["ŷ".to_owned(), "0.5".to_owned()]);
        table.row(["square(y)".to_owned(), "12.25".to_owned()]);
        assert_eq!(
            table.to_string(),
            "loss       score\nŷ            0.5\nsquare(y)  12.25\n"
        );
    }
}
