//! Arrays in NumPy's file format, read as `numpy.load` reads them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"\x93NUMPY";

/// An array of real numbers in 32 bits, the last index fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its extents.
    pub shape: Vec<usize>,
    /// Its elements.
    pub values: Vec<f32>,
}

/// Why an array cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// The file system's error.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The content of the file.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The content found, and the one that was expected.
        reason: String,
    },
}

/// Reads an array of real numbers of any type and byte order, which are rounded to 32 bits.
///
/// # Errors
/// A file that cannot be read, is no array, has no elements, or is cut off.
pub fn read(path: &Path) -> Result<Array, NpyError> {
    let bytes = std::fs::read(path).map_err(|source| NpyError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes).map_err(|reason| NpyError::Content {
        path: path.to_owned(),
        reason,
    })
}

/// The array in the bytes of a file.
fn parse(bytes: &[u8]) -> Result<Array, String> {
    let (header, data) = split(bytes)?;
    let header = Header::parse(header)?;
    let length = header
        .shape
        .iter()
        .try_fold(1_usize, |l, n| l.checked_mul(*n));
    if length == Some(0) {
        return Err(format!(
            "an array of shape {:?}, which has no elements",
            header.shape
        ));
    }
    let size = header.element.size;
    // Nothing is made in the size that a header claims.
    let elements = length.and_then(|length| data.get(..length.checked_mul(size)?));
    let elements = elements.ok_or_else(|| {
        format!(
            "{} bytes of elements, expected {size} for each of shape {:?}; the file is cut off",
            data.len(),
            header.shape
        )
    })?;
    let values: Vec<f32> = elements
        .chunks_exact(size)
        .map(|bytes| header.element.value(bytes))
        .collect();
    let values = match header.by_column {
        true => by_row(&values, &header.shape),
        false => values,
    };
    Ok(Array {
        shape: header.shape,
        values,
    })
}

/// The text of the header and the bytes of the elements.
fn split(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let hint = match bytes.starts_with(b"PK") {
            true => ": an archive of arrays (.npz); save the array by itself with numpy.save",
            false => "",
        };
        return Err(format!("not an array in NumPy's format{hint}"));
    };
    let cut = || "not an array in NumPy's format: its header is cut off".to_owned();
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (u32::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
        [major, minor, ..] if !(1..=3).contains(major) => {
            return Err(format!(
                "version {major}.{minor} of NumPy's format, expected 1.0, 2.0 or 3.0"
            ));
        }
        _ => return Err(cut()),
    };
    let (header, data) = rest.split_at_checked(length as usize).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "a header that is no text".to_owned())?;
    Ok((header, data))
}

/// The elements of an array whose first index runs fastest, the last index fastest.
fn by_row(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let place = |mut i: usize| {
        let mut place = 0;
        let mut strides = shape.iter().scan(1, |stride, extent| {
            let own = *stride;
            *stride *= extent;
            Some((own, *extent))
        });
        let strides: Vec<(usize, usize)> = strides.by_ref().collect();
        for (stride, extent) in strides.into_iter().rev() {
            place += stride * (i % extent);
            i /= extent;
        }
        place
    };
    (0..values.len()).map(|i| values[place(i)]).collect()
}

/// What a file says of its array.
struct Header {
    element: Element,
    by_column: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads a dictionary as Python writes it:
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3, 4), }`.
    fn parse(text: &str) -> Result<Self, String> {
        let after = |key: &str| -> Result<&str, String> {
            let place = [format!("'{key}'"), format!("\"{key}\"")];
            let rest = place.iter().find_map(|key| text.split_once(key.as_str()));
            let rest = rest.and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
            rest.map(str::trim_start)
                .ok_or_else(|| format!("not an array in NumPy's format: its header has no `{key}`"))
        };
        let descr = after("descr")?;
        let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let descr = quote.and_then(|quote| descr[1..].split(quote).next());
        let element = match descr {
            Some(descr) => Element::named(descr)?,
            None => return Err("elements of several fields, expected plain numbers".to_owned()),
        };
        let order = after("fortran_order")?;
        let shape = after("shape")?.strip_prefix('(');
        let shape = shape.and_then(|shape| Some(shape.split_once(')')?.0));
        let shape = shape.ok_or("not an array in NumPy's format: its header has no shape")?;
        let extents = shape.split(',').map(str::trim).filter(|n| !n.is_empty());
        // Python 2 marked long numbers.
        let extents = extents.map(|n| n.trim_end_matches('L').parse::<usize>());
        let shape = extents.collect::<Result<_, _>>();
        Ok(Self {
            element,
            by_column: order.starts_with("True"),
            shape: shape.map_err(|_| "a shape that is not of whole numbers".to_owned())?,
        })
    }
}

/// The type of an element.
#[derive(Clone, Copy)]
struct Element {
    kind: Kind,
    size: usize,
    big_endian: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Float,
    Signed,
    Unsigned,
}

impl Element {
    /// The type of that name in NumPy's array protocol, such as `<f4`.
    fn named(name: &str) -> Result<Self, String> {
        let big_endian = match name.chars().next() {
            Some('>') => true,
            // `=` is the order of the machine that wrote the file: nearly all are little-endian.
            Some('<' | '|' | '=') => false,
            _ => return Err(Self::refused(name)),
        };
        let kind = match &name[1..] {
            "f2" | "f4" | "f8" => Kind::Float,
            "i1" | "i2" | "i4" | "i8" => Kind::Signed,
            "u1" | "u2" | "u4" | "u8" | "b1" => Kind::Unsigned,
            _ => return Err(Self::refused(name)),
        };
        Ok(Self {
            kind,
            size: usize::from(name.as_bytes()[2] - b'0'),
            big_endian,
        })
    }

    fn refused(name: &str) -> String {
        let name: String = name.chars().take(20).collect();
        format!(
            "elements of type '{name}', expected real numbers such as 32- or 64-bit floats ('<f4', '<f8')"
        )
    }

    /// The value of an element's bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "losses are computed in f32"
    )]
    fn value(self, bytes: &[u8]) -> f32 {
        // The bytes from the lowest on, in as many as the largest type has.
        let mut low = [0; 8];
        for (i, byte) in bytes.iter().enumerate() {
            low[if self.big_endian {
                self.size - 1 - i
            } else {
                i
            }] = *byte;
        }
        let bits = u64::from_le_bytes(low);
        match (self.kind, self.size) {
            (Kind::Float, 2) => half(bits as u16),
            (Kind::Float, 4) => f32::from_bits(bits as u32),
            (Kind::Float, _) => f64::from_bits(bits) as f32,
            (Kind::Unsigned, _) => bits as f32,
            (Kind::Signed, size) => {
                let unused = 64 - 8 * size as u32;
                ((bits << unused).cast_signed() >> unused) as f32
            }
        }
    }
}

/// A number of 16 bits: sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (bits >> 10 & 31, f32::from(bits & 1023) / 1024.0);
    let size = match exponent {
        0 => fraction * 2.0_f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2.0_f32.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// Writes an array of 32-bit floats.
///
/// # Errors
/// Those of `out`.
///
/// # Panics
/// If there are not as many values as the shape says.
pub fn write(out: &mut impl Write, shape: &[usize], values: &[f32]) -> io::Result<()> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "elements");
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let extents = match shape.len() {
        1 => extents.trim_end(),
        _ => extents.trim_end_matches(", "),
    };
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({extents}), }}");
    // The elements begin at a multiple of 64 bytes.
    let begin = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64);
    let length = begin - MAGIC.len() - 4;
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    let length_in_file = u16::try_from(length).map_err(io::Error::other)?;
    out.write_all(&length_in_file.to_le_bytes())?;
    writeln!(out, "{header:<width$}", width = length - 1)?;
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    out.write_all(&bytes)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with that header, unpadded, and those bytes.
    fn file(header: &str, data: &[u8]) -> Result<Vec<f32>, String> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        let bytes = [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat();
        parse(&bytes).map(|array| array.values)
    }

    fn row(descr: &str, count: usize, data: &[u8]) -> Result<Vec<f32>, String> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1, 1, 1, {count})}}");
        file(&header, data)
    }

    #[test]
    fn every_type_and_byte_order_is_read() {
        let cases: &[(&str, &[u8], &[f32])] = &[
            ("<f4", &[0, 0, 0xC0, 0x3F], &[1.5]),
            (">f4", &[0x3F, 0xC0, 0, 0], &[1.5]),
            ("=f4", &[0, 0, 0xC0, 0x3F], &[1.5]),
            ("<f8", &[0, 0, 0, 0, 0, 0, 0xF8, 0x3F], &[1.5]),
            (">f8", &[0x3F, 0xF8, 0, 0, 0, 0, 0, 0], &[1.5]),
            // 1.5, the smallest, the largest, and minus infinity.
            (
                "<f2",
                &[0, 0x3E, 1, 0, 0xFF, 0x7B, 0, 0xFC],
                &[1.5, 5.960_464_5e-8, 65504.0, f32::NEG_INFINITY],
            ),
            (">f2", &[0xBE, 0], &[-1.5]),
            ("|u1", &[0, 255], &[0.0, 255.0]),
            ("|i1", &[255, 128, 127], &[-1.0, -128.0, 127.0]),
            ("|b1", &[0, 1], &[0.0, 1.0]),
            (">i2", &[0xFF, 0xFE], &[-2.0]),
            ("<u2", &[0xFE, 0xFF], &[65534.0]),
            ("<i4", &[0xFE, 0xFF, 0xFF, 0xFF], &[-2.0]),
            (">u4", &[0, 0, 1, 0], &[256.0]),
            ("<i8", &[0xFF; 8], &[-1.0]),
            (">u8", &[0, 0, 0, 0, 0, 0, 1, 0], &[256.0]),
        ];
        for (descr, data, want) in cases {
            assert_eq!(row(descr, want.len(), data).unwrap(), *want, "{descr}");
        }
        for descr in [
            "<c8", "|O", "|S4", "<U3", "<M8[s]", "<f16", "f4", "", "é", ">",
        ] {
            let said = row(descr, 1, &[0; 64]).unwrap_err();
            assert!(said.contains("expected real numbers"), "{descr}: {said}");
        }
    }

    #[test]
    fn headers_are_read_as_python_writes_them() {
        let data: Vec<u8> = (0..12).collect();
        let of = |header: &str| file(header, &data);
        let header = "{\"shape\": (2L, 1, 2, 3), \"fortran_order\": False ,'descr':'|u1'}";
        let rows = of(header).unwrap();
        assert!(rows.iter().zip(0u8..).all(|(v, i)| *v == f32::from(i)));
        // numpy.arange(12).reshape((2, 1, 2, 3), order="F").
        let columns = of(&header.replace("False", "True")).unwrap();
        let want = [0, 4, 8, 2, 6, 10, 1, 5, 9, 3, 7, 11].map(|i: u8| f32::from(i));
        assert_eq!(columns, want);
        for (header, expected) in [
            ("", "no `descr`"),
            (
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
                "several fields",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, x)}",
                "whole numbers",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 4)}",
                "cut off",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 9, 9)}",
                "cut off",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0, 1, 4)}",
                "no elements",
            ),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
                "no shape",
            ),
        ] {
            let said = of(header).unwrap_err();
            assert!(said.contains(expected), "{header}: {said}");
        }
    }

    #[test]
    fn a_written_array_is_read_back() {
        let values = [0.5, -1.0, f32::INFINITY, 3.0];
        for shape in [vec![1, 2, 2, 1], vec![2, 2], vec![4]] {
            let mut bytes = Vec::new();
            write(&mut bytes, &shape, &values).unwrap();
            assert_eq!(bytes.len() % 64, 16);
            assert_eq!(bytes[bytes.len() - 17], b'\n');
            let array = parse(&bytes).unwrap();
            assert_eq!((array.shape, &array.values[..]), (shape, &values[..]));
        }
    }

    #[test]
    fn files_are_named_in_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let missing = read(&path).unwrap_err().to_string();
        assert!(missing.contains("a.npy: cannot be read"), "{missing}");
        std::fs::write(&path, b"PK\x03\x04").unwrap();
        let archive = read(&path).unwrap_err().to_string();
        assert!(
            archive.contains("a.npy: ") && archive.contains(".npz"),
            "{archive}"
        );
    }
}
