use super::*;

fn to(
    height: usize,
    width: usize,
    interpolation: Interpolation,
    resize: ResizeRule,
    precision: ResamplePrecision,
) -> Preprocessor {
    Preprocessor {
        height,
        width,
        channels: 1,
        mean: vec![0.0],
        std: vec![1.0],
        interpolation,
        resize,
        precision,
    }
}

/// `numpy.array([(i * 37 + i * i) % 256 for i in range(n)], "uint8")`
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|i| ((i * 37 + i * i) % 256) as u8).collect()
}

const BOTH: [ResamplePrecision; 2] = [ResamplePrecision::Uint8, ResamplePrecision::Float32];

fn agree(expected: &[Expected], precision: ResamplePrecision, levels: u8) {
    for (interpolation, small, large) in expected {
        let cases: [(usize, usize, &[u8]); 2] = [(3, 4, small), (10, 11, large)];
        for (height, width, expected) in cases {
            let to = to(
                height,
                width,
                *interpolation,
                ResizeRule::Stretch,
                precision,
            );
            let found = resize(&pattern(63), 7, 9, 1, &to);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    found.abs_diff(*expected) <= levels,
                    "{interpolation:?} {width}: {found} for {expected}"
                );
            }
        }
    }
}

/// One pass of the Python imaging library over `lines` lines of pixels: weights of 22 bits behind the point.
fn pass(pixels: &[u8], lines: usize, channels: usize, axis: &Axis, by: Interpolation) -> Vec<u8> {
    let (scale, radius) = (axis.scale(), axis.radius(by));
    let mut output = Vec::new();
    for line in pixels.chunks_exact(pixels.len() / lines) {
        for i in axis.offset..axis.offset + axis.target {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - radius + 0.5).max(0.0) as usize;
            let end = ((centre + radius + 0.5) as usize).min(axis.source);
            let weights: Vec<f64> = (first..end)
                .map(|j| filter(by, (j as f64 - centre + 0.5) / scale.max(1.0)))
                .collect();
            let whole: f64 = weights.iter().sum();
            for channel in 0..channels {
                let sum: i32 = (first..end)
                    .zip(&weights)
                    .map(|(j, weight)| {
                        let weight = (weight / whole * f64::from(1 << 22)).round() as i32;
                        i32::from(line[j * channels + channel]) * weight
                    })
                    .sum();
                output.push(((sum + (1 << 21)) >> 22).clamp(0, 255) as u8);
            }
        }
    }
    output
}

/// `[height, width, channels]` to `[width, height, channels]`.
fn transposed(pixels: &[u8], height: usize, channels: usize) -> Vec<u8> {
    let width = pixels.len() / height / channels;
    (0..width * height)
        .flat_map(|i| {
            let (x, y) = (i / height, i % height);
            pixels[(y * width + x) * channels..][..channels].to_vec()
        })
        .collect()
}

#[test]
fn bytes_agree_with_the_python_imaging_library_to_one_level() {
    // Image.fromarray(pattern.reshape(7, 9)).resize((4, 3), filter), and to (11, 10), by its version 13.
    agree(&BYTES, ResamplePrecision::Uint8, 1);
    // The FNV-1a hash of larger results of that library: height, width, channels, then height and width of the
    // result. Its method written down plainly gives them to the bit, and ours what that gives to one level.
    for (interpolation, [height, width, channels, tall, wide], expected) in LARGER {
        let to = to(
            tall,
            wide,
            interpolation,
            ResizeRule::Stretch,
            ResamplePrecision::Uint8,
        );
        let pixels = pattern(height * width * channels);
        let (rows, columns) = axes(height, width, &to);
        let narrow = pass(&pixels, height, channels, &columns, interpolation);
        let turned = transposed(&narrow, height, channels);
        let turned = pass(&turned, wide, channels, &rows, interpolation);
        let theirs = transposed(&turned, wide, channels);
        let hash = theirs
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            });
        assert_eq!(hash, expected, "{interpolation:?} {height}×{width}");
        let ours = resize(&pixels, height, width, channels, &to);
        let apart = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(
            apart <= Some(1),
            "{interpolation:?} {height}×{width}: {apart:?}"
        );
    }
}

#[test]
fn floats_agree_with_the_python_imaging_library() {
    // Image.fromarray(pattern.astype("float32").reshape(7, 9)).resize((4, 3), filter), and to (11, 10),
    // clipped to 0..=255, rounded and flattened.
    agree(&FLOATS, ResamplePrecision::Float32, 0);
}

#[test]
fn a_crop_is_the_resize_and_then_the_crop() {
    let sizes = [(7, 9), (9, 7), (20, 61), (5, 5), (40, 3)];
    for ((height, width), precision) in sizes.into_iter().flat_map(|s| BOTH.map(|p| (s, p))) {
        let resized =
            |to: &Preprocessor| resize(&pattern(height * width * 3), height, width, 3, to);
        let linear =
            |height, width, rule| to(height, width, Interpolation::Bilinear, rule, precision);
        let cropped = resized(&linear(6, 4, ResizeRule::Crop));
        let shorter = height.min(width);
        let (tall, wide) = (6 * height / shorter, 6 * width / shorter);
        let whole = resized(&linear(tall, wide, ResizeRule::Stretch));
        for y in 0..6 {
            for x in 0..4 * 3 {
                let at = ((y + (tall - 6) / 2) * wide + (wide - 4) / 2) * 3 + x;
                // The last bit of a weight may differ.
                let levels = u8::from(precision == ResamplePrecision::Uint8);
                assert!(
                    cropped[y * 12 + x].abs_diff(whole[at]) <= levels,
                    "{height}×{width} at ({y}, {x})"
                );
            }
        }
    }
}

#[test]
fn the_same_size_is_the_same_image() {
    let pixels = pattern(5 * 6 * 3);
    for interpolation in [
        Interpolation::Nearest,
        Interpolation::Box,
        Interpolation::Bilinear,
        Interpolation::Bicubic,
        Interpolation::Lanczos,
    ] {
        for precision in BOTH {
            let to = to(5, 6, interpolation, ResizeRule::Stretch, precision);
            assert_eq!(resize(&pixels, 5, 6, 3, &to), pixels);
        }
    }
}

#[test]
fn extreme_shapes_stay_small() {
    for precision in BOTH {
        let target = to(32, 32, Interpolation::Bicubic, ResizeRule::Crop, precision);
        assert_eq!(resize(&[77], 1, 1, 1, &target), vec![77; 32 * 32]);
        assert_eq!(
            resize(&vec![9; 60_000 * 3], 1, 60_000, 3, &target),
            vec![9; 32 * 32 * 3]
        );
        assert_eq!(
            resize(&vec![9; 60_000], 60_000, 1, 1, &target),
            vec![9; 32 * 32]
        );
    }
}

type Expected = (Interpolation, &'static [u8], &'static [u8]);

const LARGER: [(Interpolation, [usize; 5], u64); 20] = [
    (
        Interpolation::Lanczos,
        [61, 47, 3, 32, 32],
        0x4ed24169b95b7143,
    ),
    (
        Interpolation::Lanczos,
        [47, 230, 1, 9, 64],
        0xaa38c236f62742d7,
    ),
    (
        Interpolation::Lanczos,
        [5, 4, 3, 17, 13],
        0x4557222ce50607b3,
    ),
    (
        Interpolation::Lanczos,
        [33, 500, 3, 33, 31],
        0x8af4cdd6f8ea524a,
    ),
    (
        Interpolation::Lanczos,
        [200, 31, 1, 64, 31],
        0x4383d9eb823e3113,
    ),
    (
        Interpolation::Bilinear,
        [61, 47, 3, 32, 32],
        0x9e1d84d73eed7ea5,
    ),
    (
        Interpolation::Bilinear,
        [47, 230, 1, 9, 64],
        0x69497806378f2bb8,
    ),
    (
        Interpolation::Bilinear,
        [5, 4, 3, 17, 13],
        0x9c373cf82bbe4cdb,
    ),
    (
        Interpolation::Bilinear,
        [33, 500, 3, 33, 31],
        0xde4e43de90b7ce62,
    ),
    (
        Interpolation::Bilinear,
        [200, 31, 1, 64, 31],
        0x26b2576d352bf5f2,
    ),
    (
        Interpolation::Bicubic,
        [61, 47, 3, 32, 32],
        0x83f88b48f02ca0f3,
    ),
    (
        Interpolation::Bicubic,
        [47, 230, 1, 9, 64],
        0xea573b990f1b0546,
    ),
    (
        Interpolation::Bicubic,
        [5, 4, 3, 17, 13],
        0xdb529a93a59cbbf7,
    ),
    (
        Interpolation::Bicubic,
        [33, 500, 3, 33, 31],
        0x1077a2be620b0b19,
    ),
    (
        Interpolation::Bicubic,
        [200, 31, 1, 64, 31],
        0xb5f56d16b90fcd12,
    ),
    (Interpolation::Box, [61, 47, 3, 32, 32], 0x371d4f6eab4b48b2),
    (Interpolation::Box, [47, 230, 1, 9, 64], 0xb126cec4b8d88d5f),
    (Interpolation::Box, [5, 4, 3, 17, 13], 0xe8eae838adae41d9),
    (Interpolation::Box, [33, 500, 3, 33, 31], 0xc11036019b6dd68d),
    (Interpolation::Box, [200, 31, 1, 64, 31], 0xffc0f1714160a63b),
];

const BYTES: [Expected; 4] = [
    (
        Interpolation::Lanczos,
        &[97, 109, 121, 67, 127, 113, 106, 135, 133, 158, 140, 149],
        &[
            0, 4, 57, 103, 131, 163, 221, 74, 2, 73, 101, 68, 137, 90, 32, 101, 164, 236, 58, 0,
            108, 137, 191, 220, 97, 30, 102, 105, 174, 109, 38, 88, 143, 232, 94, 48, 165, 166, 20,
            71, 190, 108, 18, 109, 234, 50, 35, 214, 205, 46, 127, 89, 30, 104, 175, 146, 96, 55,
            137, 170, 43, 132, 100, 68, 173, 250, 58, 170, 97, 65, 138, 10, 94, 244, 183, 125, 241,
            88, 216, 152, 123, 205, 88, 228, 234, 77, 57, 176, 76, 195, 153, 149, 249, 139, 150,
            169, 79, 78, 204, 34, 165, 129, 125, 243, 132, 5, 141, 158, 129, 255,
        ],
    ),
    (
        Interpolation::Bilinear,
        &[104, 104, 122, 79, 117, 123, 111, 127, 135, 155, 141, 141],
        &[
            0, 28, 60, 93, 128, 164, 202, 78, 25, 66, 104, 87, 122, 85, 63, 105, 150, 195, 80, 35,
            84, 129, 174, 172, 100, 65, 106, 108, 164, 99, 59, 84, 138, 219, 95, 82, 139, 158, 24,
            90, 149, 104, 41, 104, 202, 79, 80, 152, 180, 45, 122, 94, 72, 104, 176, 149, 99, 86,
            128, 166, 42, 129, 111, 99, 141, 223, 70, 151, 102, 79, 128, 13, 111, 201, 180, 142,
            232, 97, 186, 149, 136, 194, 91, 198, 185, 109, 81, 181, 81, 180, 152, 150, 218, 125,
            149, 157, 110, 93, 202, 50, 156, 137, 143, 219, 134, 51, 131, 143, 134, 250,
        ],
    ),
    (
        Interpolation::Bicubic,
        &[102, 104, 122, 73, 121, 117, 107, 132, 135, 155, 142, 145],
        &[
            0, 15, 57, 97, 130, 166, 218, 69, 6, 66, 103, 78, 135, 85, 45, 101, 158, 219, 65, 11,
            91, 134, 183, 200, 99, 41, 101, 111, 178, 96, 45, 86, 144, 228, 84, 68, 151, 171, 20,
            83, 172, 108, 24, 105, 221, 55, 62, 176, 201, 46, 130, 83, 51, 104, 181, 153, 90, 72,
            133, 178, 42, 137, 99, 83, 153, 238, 62, 165, 99, 67, 136, 10, 104, 224, 188, 130, 239,
            94, 206, 151, 130, 209, 93, 226, 203, 91, 59, 177, 77, 194, 153, 147, 238, 133, 154,
            164, 97, 77, 204, 41, 164, 132, 133, 235, 135, 23, 136, 151, 128, 255,
        ],
    ),
    (
        Interpolation::Box,
        &[103, 99, 107, 97, 121, 102, 137, 132, 147, 154, 153, 131],
        &[
            0, 38, 78, 78, 120, 164, 210, 2, 2, 52, 104, 158, 214, 16, 16, 76, 138, 202, 12, 12,
            80, 150, 158, 214, 16, 16, 76, 138, 202, 12, 12, 80, 150, 222, 40, 116, 116, 194, 18,
            100, 184, 184, 14, 102, 192, 28, 122, 122, 218, 60, 160, 6, 6, 110, 216, 192, 28, 122,
            122, 218, 60, 160, 6, 6, 110, 216, 68, 178, 34, 34, 148, 8, 126, 246, 246, 112, 236,
            106, 234, 108, 108, 240, 118, 254, 136, 136, 20, 162, 106, 234, 108, 108, 240, 118,
            254, 136, 136, 20, 162, 50, 196, 88, 88, 238, 134, 32, 188, 188, 90, 250,
        ],
    ),
];

const FLOATS: [Expected; 4] = [
    (
        Interpolation::Nearest,
        &[214, 76, 202, 80, 28, 218, 160, 110, 234, 240, 254, 20],
        &[
            0, 38, 78, 78, 120, 164, 210, 2, 2, 52, 104, 158, 214, 16, 16, 76, 138, 202, 12, 12,
            80, 150, 158, 214, 16, 16, 76, 138, 202, 12, 12, 80, 150, 222, 40, 116, 116, 194, 18,
            100, 184, 184, 14, 102, 192, 28, 122, 122, 218, 60, 160, 6, 6, 110, 216, 192, 28, 122,
            122, 218, 60, 160, 6, 6, 110, 216, 68, 178, 34, 34, 148, 8, 126, 246, 246, 112, 236,
            106, 234, 108, 108, 240, 118, 254, 136, 136, 20, 162, 106, 234, 108, 108, 240, 118,
            254, 136, 136, 20, 162, 50, 196, 88, 88, 238, 134, 32, 188, 188, 90, 250,
        ],
    ),
    (
        Interpolation::Lanczos,
        &[97, 109, 121, 67, 127, 113, 106, 135, 132, 158, 140, 149],
        &[
            0, 5, 57, 104, 131, 163, 221, 74, 0, 72, 101, 67, 137, 89, 32, 101, 164, 236, 58, 0,
            108, 137, 191, 220, 97, 29, 102, 105, 175, 109, 39, 88, 143, 231, 94, 48, 165, 166, 20,
            70, 190, 108, 19, 109, 235, 50, 36, 213, 205, 46, 127, 89, 30, 103, 175, 147, 96, 56,
            137, 170, 43, 132, 100, 69, 173, 249, 58, 170, 97, 65, 138, 10, 93, 244, 183, 125, 241,
            88, 216, 152, 124, 205, 88, 228, 235, 76, 57, 176, 77, 195, 153, 149, 249, 139, 149,
            169, 79, 78, 207, 35, 165, 129, 125, 242, 132, 4, 140, 158, 129, 255,
        ],
    ),
    (
        Interpolation::Bilinear,
        &[104, 104, 122, 79, 117, 123, 111, 127, 135, 155, 141, 141],
        &[
            0, 28, 60, 93, 128, 164, 202, 78, 25, 66, 104, 87, 122, 85, 63, 106, 150, 195, 80, 35,
            84, 129, 174, 171, 100, 64, 106, 108, 164, 99, 59, 84, 138, 219, 95, 83, 139, 158, 24,
            90, 150, 104, 41, 104, 203, 79, 80, 153, 180, 45, 122, 94, 72, 104, 176, 149, 99, 86,
            128, 166, 42, 129, 111, 99, 141, 223, 70, 151, 103, 79, 127, 14, 111, 201, 180, 141,
            232, 97, 186, 149, 136, 194, 91, 198, 185, 109, 81, 181, 81, 180, 153, 150, 218, 125,
            149, 157, 110, 92, 202, 50, 156, 137, 143, 219, 134, 51, 131, 143, 134, 250,
        ],
    ),
    (
        Interpolation::Bicubic,
        &[102, 104, 122, 73, 121, 117, 107, 132, 135, 155, 142, 145],
        &[
            0, 14, 57, 98, 130, 166, 218, 69, 6, 66, 103, 78, 135, 85, 45, 101, 158, 219, 65, 11,
            91, 134, 182, 200, 99, 41, 101, 111, 178, 96, 45, 86, 144, 228, 84, 68, 151, 171, 20,
            83, 172, 109, 23, 104, 221, 55, 62, 176, 201, 46, 130, 83, 51, 103, 181, 152, 90, 72,
            133, 178, 42, 137, 99, 83, 153, 238, 62, 165, 99, 67, 136, 10, 104, 224, 188, 131, 239,
            94, 206, 151, 130, 209, 93, 226, 203, 91, 59, 177, 77, 194, 153, 147, 238, 133, 154,
            164, 97, 77, 204, 41, 165, 132, 133, 235, 135, 22, 136, 151, 127, 255,
        ],
    ),
];
