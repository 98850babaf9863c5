//! Pixels of a picture, three bytes each, row by row: halved, and saved as PNG. It knows nothing of what
//! they show.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

/// A picture of `size` from one of twice that: each pixel is the mean of the four that it covers.
pub(super) fn halved(fine: &[u8], size: (u32, u32)) -> Vec<u8> {
    let row = (size.0 * 2 * 3) as usize;
    let mut pixels = Vec::with_capacity((size.0 * size.1 * 3) as usize);
    for y in 0..size.1 as usize {
        for x in 0..size.0 as usize {
            for channel in 0..3 {
                let at = y * 2 * row + x * 6 + channel;
                let upper = u16::from(fine[at]) + u16::from(fine[at + 3]);
                let lower = u16::from(fine[at + row]) + u16::from(fine[at + row + 3]);
                pixels.push(((upper + lower) / 4) as u8);
            }
        }
    }
    pixels
}

/// Saves them.
pub(super) fn save(path: &Path, size: (u32, u32), pixels: &[u8]) -> anyhow::Result<()> {
    save_as(path, size, pixels, png::Compression::Fast)
}

/// Saves a picture again in half the bytes, which takes its time.
pub(super) fn shrink(path: &Path) -> anyhow::Result<()> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path)?)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().unwrap_or_default()];
    let found = reader.next_frame(&mut pixels)?;
    save_as(path, (found.width, found.height), &pixels, png::Compression::High)
}

fn save_as(
    path: &Path,
    size: (u32, u32),
    pixels: &[u8],
    compression: png::Compression,
) -> anyhow::Result<()> {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(compression);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_again() {
        let pixels: Vec<u8> = (0..5 * 3 * 3).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        save(&path, (5, 3), &pixels).unwrap();
        let file = BufReader::new(File::open(&path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (5, 3));
        let mut found = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut found).unwrap();
        assert_eq!(found, pixels);
        shrink(&path).unwrap();
        let file = BufReader::new(File::open(&path).unwrap());
        let mut again = vec![0; found.len()];
        png::Decoder::new(file).read_info().unwrap().next_frame(&mut again).unwrap();
        assert_eq!(again, pixels);
        assert!(save(&folder.path().join("no/such/a.png"), (5, 3), &pixels).is_err());
        assert!(save(&path, (5, 4), &pixels).is_err(), "a row is missing");
    }

    #[test]
    fn four_pixels_become_their_mean() {
        let fine = [0, 0, 10, 4, 0, 20, 8, 0, 30, 4, 3, 40];
        assert_eq!(halved(&fine, (1, 1)), [4, 0, 25]);
    }
}
