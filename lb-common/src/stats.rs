//! Counters.

/// What passed for one backend, on one CPU. `bytes` count whole frames as they arrive.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames towards the backend.
    pub packets: u64,
    /// Bytes towards the backend.
    pub bytes: u64,
    /// Frames of its answers; only `nat` answers pass the node.
    pub reply_packets: u64,
    /// Bytes of its answers.
    pub reply_bytes: u64,
}

impl core::ops::Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let Self { packets, bytes, reply_packets, reply_bytes } = other;
        Self {
            packets: self.packets.wrapping_add(packets),
            bytes: self.bytes.wrapping_add(bytes),
            reply_packets: self.reply_packets.wrapping_add(reply_packets),
            reply_bytes: self.reply_bytes.wrapping_add(reply_bytes),
        }
    }
}
