//! The order of a branch's positions, and the place of each position in a field.

use autoloss_expr::Shape;

/// The positions of a branch in order: anchors or regions by their numbers in the pass.
#[derive(Clone, Debug)]
pub(in crate::tasks::detection) struct Positions {
    /// Number of the anchor or region at each position.
    subjects: Vec<usize>,
    /// Shape of the branch's fields.
    shape: Shape,
    /// True if the elements of a position are next to each other; else those of a channel are.
    by_position: bool,
}

impl Positions {
    /// Positions of one element a channel: fields of shape (1, channels, 1, positions).
    pub(in crate::tasks::detection) fn of_points(subjects: Vec<usize>, channels: usize) -> Self {
        Self {
            shape: Shape::new(1, channels, 1, subjects.len()),
            subjects,
            by_position: false,
        }
    }

    /// Positions of one square image a channel: fields of shape (positions, channels, side, side).
    pub(super) fn of_images(subjects: Vec<usize>, channels: usize, side: usize) -> Self {
        Self {
            shape: Shape::new(subjects.len(), channels, side, side),
            subjects,
            by_position: true,
        }
    }

    /// Shape of the branch's fields.
    pub(in crate::tasks::detection) const fn shape(&self) -> Shape {
        self.shape
    }

    /// Numbers of the anchors or regions, in order.
    pub(in crate::tasks::detection) fn subjects(&self) -> &[usize] {
        &self.subjects
    }

    /// Number of positions.
    pub(in crate::tasks::detection) fn count(&self) -> usize {
        self.subjects.len()
    }

    /// The position of an anchor or region, if it has one.
    pub(in crate::tasks::detection) fn find(&self, subject: usize) -> Option<usize> {
        self.subjects.iter().position(|other| *other == subject)
    }

    /// Elements of a position: channels times pixels.
    fn elements(&self) -> usize {
        match self.count() {
            0 => 0,
            count => self.shape.len() / count,
        }
    }

    /// Index in a field of an element of a position; elements go channel by channel, in a channel pixel by pixel.
    fn index(&self, position: usize, element: usize) -> usize {
        match self.by_position {
            true => position * self.elements() + element,
            false => element * self.count() + position,
        }
    }

    /// The field of rows in the order of positions, a row being the elements of a position.
    pub(super) fn field<T, R>(&self, rows: &[R]) -> Vec<T>
    where
        T: Copy + Default,
        R: AsRef<[T]>,
    {
        let mut field = vec![T::default(); self.shape.len()];
        for (position, row) in rows.iter().enumerate() {
            for (element, value) in row.as_ref().iter().enumerate() {
                field[self.index(position, element)] = *value;
            }
        }
        field
    }

    /// The elements of a position in a field.
    pub(in crate::tasks::detection) fn row(&self, field: &[f32], position: usize) -> Vec<f32> {
        let elements = 0..self.elements();
        elements
            .map(|element| field[self.index(position, element)])
            .collect()
    }

    /// The four deltas of a position in a field.
    pub(in crate::tasks::detection) fn deltas(&self, field: &[f32], position: usize) -> [f32; 4] {
        std::array::from_fn(|k| field[self.index(position, k)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_rows_are_inverse() {
        let points = Positions::of_points(vec![7, 3, 5], 2);
        let rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let field: Vec<f32> = points.field(&rows);
        assert_eq!(field, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        assert_eq!(points.row(&field, 1), rows[1]);
        assert_eq!((points.find(3), points.find(4)), (Some(1), None));
        let images = Positions::of_images(vec![7, 3], 1, 2);
        let rows = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]];
        let field: Vec<f32> = images.field(&rows);
        assert_eq!(field, rows.concat());
        assert_eq!(images.row(&field, 1), rows[1]);
        assert_eq!(images.deltas(&field, 0), rows[0]);
        let none = Positions::of_points(Vec::new(), 4);
        assert!(none.field::<f32, [f32; 4]>(&[]).is_empty());
    }
}
