//! Archives, written byte by byte.

use std::io::Write as _;

use flate2::{Compression, Crc, write::GzEncoder};

/// A file in an archive.
pub type Member = (String, Vec<u8>);

/// A tar archive.
///
/// # Panics
/// When a name does not fit into it.
pub fn tar(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, content.as_slice())
            .expect("it is written to memory");
    }
    builder.into_inner().expect("it is written to memory")
}

/// Bytes, packed by gzip.
///
/// # Panics
/// Never: it is written to memory.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = writer.write_all(bytes).and_then(|()| writer.finish());
    packed.expect("it is written to memory")
}

/// A zip archive that stores its members under these flags and this method.
pub fn zip_with(members: &[Member], flags: u16, method: u16) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut crc = Crc::new();
        crc.update(content);
        let size = content.len() as u32;
        let mut header = Vec::new();
        for field in [20, flags, method, 0, 0x21] {
            header.extend(u16::to_le_bytes(field));
        }
        for field in [crc.sum(), size, size, name.len() as u32] {
            header.extend(field.to_le_bytes());
        }
        let offset = bytes.len() as u32;
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&header);
        bytes.extend(name.as_bytes());
        bytes.extend(content);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&header);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (bytes.len() as u32, members.len() as u16);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// A zip archive that stores its members.
pub fn zip(members: &[Member]) -> Vec<u8> {
    zip_with(members, 0x0800, 0)
}

/// Puts another name of the same length into the header of a member.
///
/// # Panics
/// When there is no such member.
pub fn rename_in_tar(bytes: &mut [u8], from: &str, to: &str) {
    let found = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes());
    let at = found.expect("there is such a member");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    let header: &mut [u8] = &mut bytes[at..at + 512];
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
