//! Frames as a capture file, for tcpdump and Wireshark.

use std::{fs, io, path::Path};

/// Writes frames as a classic pcap file (draft-ietf-opsawg-pcap), one a second.
pub fn write(path: &Path, frames: &[&[u8]]) -> io::Result<()> {
    const ETHERNET: u32 = 1;
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, u32::from(u16::MAX), ETHERNET] {
        file.extend(u32::to_ne_bytes(word));
    }
    for (second, frame) in (0u32..).zip(frames) {
        let len = u32::try_from(frame.len()).map_err(io::Error::other)?;
        for word in [second, 0, len, len] {
            file.extend(u32::to_ne_bytes(word));
        }
        file.extend(*frame);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, file)
}
