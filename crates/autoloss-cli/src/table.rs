//! Tables of text with aligned columns. A last cell of several lines stands below its row.

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
            let cells = cells.filter(|cell| !cell.contains('\n'));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            let mut below = "";
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                if cell.contains('\n') {
                    below = cell;
                    continue;
                }
                // Format strings pad to 65,535 characters at most.
                let space = " ".repeat(width - cell.chars().count());
                let (left, right) = if *right { (&*space, "") } else { ("", &*space) };
                line.push_str(&format!("{left}{cell}{right}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
            for line in below.lines() {
                writeln!(f, "    {line}")?;
            }
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
        let mut table = Table::new(&[">score", "loss"]);
        table.row(["0.5".to_owned(), "y".to_owned()]);
        table.row(["0.25".to_owned(), "box = y\nclass = yhat".to_owned()]);
        assert_eq!(
            table.to_string(),
            "score  loss\n  0.5  y\n 0.25\n    box = y\n    class = yhat\n"
        );
        let mut wide = Table::new(&["a", "b"]);
        wide.row(["x".repeat(70_000), "y".to_owned()]);
        assert_eq!(wide.to_string().lines().next().unwrap().len(), 70_003);
    }
}
