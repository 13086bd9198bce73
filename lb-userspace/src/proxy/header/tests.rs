use super::*;

fn ends(source: &str, destination: &str) -> Ends {
    Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

#[test]
fn what_is_sent_is_what_is_read_at_any_length() {
    let v4 = ends("192.0.2.1:1234", "198.51.100.2:443");
    let v6 = ends("[2001:db8::1]:1234", "[2001:db8::2]:443");
    for version in [HeaderVersion::V1, HeaderVersion::V2] {
        for said in [Some(v4), Some(v6), None] {
            let header = proxied(version, said);
            for length in 0..header.len() {
                assert_eq!(read(&header[..length]), Ok(None), "{length} bytes");
            }
            let received = Received { length: header.len(), ends: said };
            assert_eq!(read(&header), Ok(Some(received)));
            assert_eq!(read(&[&header[..], b"GET"].concat()), Ok(Some(received)));
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let said = Some(ends("192.0.2.1:1234", "198.51.100.2:443"));
    assert_eq!(proxied(HeaderVersion::V1, said), b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\r\n");
    let rest = [0x21, 0x11, 0, 12, 192, 0, 2, 1, 198, 51, 100, 2, 0x04, 0xd2, 0x01, 0xbb];
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    assert_eq!(proxied(HeaderVersion::V2, said), [&signature[..], &rest].concat());
    assert_eq!(local(HeaderVersion::V1), b"PROXY UNKNOWN\r\n");
    assert_eq!(local(HeaderVersion::V2), [&signature[..], &[0x20, 0, 0, 0]].concat());
}

#[test]
fn families_that_differ_become_one() {
    let header = proxied(HeaderVersion::V2, Some(ends("192.0.2.1:1", "[2001:db8::2]:2")));
    let received = read(&header).unwrap().unwrap();
    assert_eq!(received.ends, Some(ends("[::ffff:192.0.2.1]:1", "[2001:db8::2]:2")));
    let header = proxied(HeaderVersion::V1, Some(ends("[::ffff:192.0.2.1]:1", "192.0.2.2:2")));
    assert_eq!(header, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
}

#[test]
fn what_is_none_is_refused_as_soon_as_it_shows() {
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat();
    let vast = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x21, 0x11, 0xff, 0xff]].concat();
    let short = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x21, 0x11, 0, 4, 1, 2, 3, 4]].concat();
    for bad in [
        b"G".as_slice(),
        b"PROXX",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 99999\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIX",
        &long,
        &vast,
        &short,
    ] {
        assert_eq!(read(bad), Err(BadHeader), "{bad:?}");
    }
}
