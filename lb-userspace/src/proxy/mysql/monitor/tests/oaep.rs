//! RSAES-OAEP with SHA-1 (RFC 8017 §7.1): what the client encrypts is decrypted by other code than its own.

use num_bigint::BigUint;
use sha1::{Digest as _, Sha1};

/// A key for these tests alone.
pub(super) const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxQ2aB/AP11Dun3bSLfBG\n\
abkE4tbI0EvFjRbezxFds8Kg4Rl8/4hYECXZeW8l641Ii6h1T5S9uIZtxpidGsGg\n\
PSmUyQpger5f0++/2YjR1pzxLJnYgf1sJ0r+t1LDp9cCNAIfFAyvU2/z+lU1eobk\n\
rjSXLLfpIWvg2KXnenMIpCKa+gPJ+SGz+t4agHyIG20tEXLt+NSqWDswEYzsIy32\n\
MPnOSWWW67YiBXNHU0sdVoYVSZdOtyITaznp757XAXfwMhn67w+obflLCppq5hL3\n\
Zf3/fWLxmC2iPMwCKBJci4OekCoDt+vDcIO0U92bwTFHYECmTfDm4HSZDDCMbWTy\n\
IwIDAQAB\n\
-----END PUBLIC KEY-----\n";
const MODULUS: &str = "\
c50d9a07f00fd750ee9f76d22df04669b904e2d6c8d04bc58d16decf115db3c2a0e1197cff88581025d9796f\
25eb8d488ba8754f94bdb8866dc6989d1ac1a03d2994c90a607abe5fd3efbfd988d1d69cf12c99d881fd6c27\
4afeb752c3a7d70234021f140caf536ff3fa55357a86e4ae34972cb7e9216be0d8a5e77a7308a4229afa03c9\
f921b3fade1a807c881b6d2d1172edf8d4aa583b30118cec232df630f9ce496596ebb622057347534b1d5686\
1549974eb722136b39e9ef9ed70177f03219faef0fa86df94b0a9a6ae612f765fdff7d62f1982da23ccc0228\
125c8b839e902a03b7ebc37083b453dd9bc131476040a64df0e6e074990c308c6d64f223";
const PRIVATE_EXPONENT: &str = "\
1fb89ed1244e088558c486e632caf92acfc3ff983fdf783327114570e404c7894f48ad47b80304da249dabb4\
becffa80712aff277e74441e2fd1c68393e9139884f7149dfd06055b7bcc9e7fb04cc755a06563a6bcd644f0\
d65bc6bb261000c6b4049b6828da987def329f40eaa6886d9abdb34f2fd257816c9ed87297ce0e4dd37ea6b6\
2bc4bfdf71d73951e0b5e989eb74743219ed165085408ac0574be29edf57224e02c4f5874fbb643d92b30d7b\
877b4b5b3fb25c34e5b13bdda5c614c44dddc6b934ff5d92b0c06567a2fa7428fee2ad1058d734c8c886f260\
12198cae5ee0c65eadf5b93849e255726bcd6e8e03b0aa24f48c948b2dd1b5aea2f340f1";

const HASH: usize = 20;

/// The message; panics if there is none.
pub(super) fn decrypt(cipher: &[u8]) -> Vec<u8> {
    let number = |hex: &str| BigUint::parse_bytes(hex.as_bytes(), 16).unwrap();
    let modulus = number(MODULUS);
    let plain = BigUint::from_bytes_be(cipher).modpow(&number(PRIVATE_EXPONENT), &modulus);
    let bytes = plain.to_bytes_be();
    let mut block = vec![0; modulus.to_bytes_be().len() - bytes.len()];
    block.extend(bytes);
    let (first, rest) = block.split_first().unwrap();
    let (seed, data) = rest.split_at(HASH);
    let seed = xor(seed, &mask(data, HASH));
    let data = xor(data, &mask(&seed, data.len()));
    let (label, padded) = data.split_at(HASH);
    assert_eq!((*first, label), (0, Sha1::digest([]).as_slice()));
    let end = padded.iter().position(|it| *it != 0).unwrap();
    assert_eq!(padded[end], 1);
    padded[end + 1..].to_vec()
}

/// MGF1 (RFC 8017 §B.2.1).
fn mask(seed: &[u8], length: usize) -> Vec<u8> {
    let block = |counter: u32| Sha1::digest([seed, &counter.to_be_bytes()].concat()).to_vec();
    (0..).flat_map(block).take(length).collect()
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}
