//! The forms of values in checks.

use std::ops::RangeInclusive;

use hyper::{
    Method,
    header::{HeaderName, HeaderValue},
};
use regex::bytes::Regex;
use tokio_rustls::rustls::pki_types::ServerName;
use toml::de::DeValue;

use super::{Fault, choice, integer, string, text};
use crate::config::Through;

/// Which way checks go.
pub(in crate::config) fn through(value: &DeValue<'_>) -> Result<Through, Fault> {
    choice(value, &[("datapath", Through::Datapath), ("direct", Through::Direct)])
}

/// The method of a request.
pub(in crate::config) fn method(value: &DeValue<'_>) -> Result<Method, Fault> {
    let text = string(value)?;
    let remedy = "use \"GET\" or \"HEAD\", for example";
    let fault = || Fault::new(format!("`{text}` is not a method"), remedy);
    // Methods are case-sensitive (RFC 9110 §9.1), and no known one has small letters.
    let written = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    text.parse().ok().filter(|_| written).ok_or_else(fault)
}

/// A header as it stands in a request. Its value may be a secret: it is not repeated.
pub(in crate::config) fn header(value: &DeValue<'_>) -> Result<(HeaderName, HeaderValue), Fault> {
    let fault = || Fault::new("not a header", "write it as \"Name: value\"");
    let (name, content) = string(value)?.split_once(':').ok_or_else(fault)?;
    let name = name.trim().parse().map_err(|_| fault())?;
    let mut content = HeaderValue::from_str(content.trim()).map_err(|_| fault())?;
    content.set_sensitive(true);
    Ok((name, content))
}

/// The value of a header.
pub(in crate::config) fn header_value(value: &DeValue<'_>) -> Result<HeaderValue, Fault> {
    let fault = |_| Fault::new("not the value of a header", "write visible ASCII");
    HeaderValue::from_str(string(value)?).map_err(fault)
}

/// A status, or a range of them.
pub(in crate::config) fn statuses(value: &DeValue<'_>) -> Result<RangeInclusive<u16>, Fault> {
    const FORM: &str = "write a number such as 200, or a range such as \"200-399\"";
    let is_status = |range: &RangeInclusive<u16>| {
        !range.is_empty() && [range.start(), range.end()].iter().all(|it| (100..=599).contains(*it))
    };
    let wrong = |text: &str| Fault::new(format!("`{text}` is not a status"), FORM);
    let (range, text) = if value.as_integer().is_some() {
        let number: u16 = integer(value, |number| wrong(&number))?;
        (Some(number..=number), number.to_string())
    } else {
        let text = text(value)?;
        let ends = text.split_once('-').map(|(first, last)| (first.parse(), last.parse()));
        (ends.and_then(|(first, last)| Some(first.ok()?..=last.ok()?)), text)
    };
    range.filter(is_status).ok_or_else(|| wrong(&text))
}

/// A regular expression over bytes.
pub(in crate::config) fn regex(value: &DeValue<'_>) -> Result<Regex, Fault> {
    let text = string(value)?;
    Regex::new(text).map_err(|error| {
        // The last line says what is wrong; those before draw where.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let remedy = "see https://docs.rs/regex for its syntax; '…' needs no doubled backslashes";
        Fault::new(format!("`{text}` is not a regular expression: {why}"), remedy)
    })
}

/// The name of a server in a certificate.
pub(in crate::config) fn server_name(value: &DeValue<'_>) -> Result<ServerName<'static>, Fault> {
    let text = text(value)?;
    let remedy = "write a DNS name such as \"www.example.com\", or an IP address";
    let fault = Fault::new(format!("`{text}` is not the name of a server"), remedy);
    ServerName::try_from(text).map_err(|_| fault)
}

/// Bytes in hex.
pub(in crate::config) fn hex(value: &DeValue<'_>) -> Result<Vec<u8>, Fault> {
    let text = string(value)?;
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    if digits.len() != text.chars().count() || !digits.len().is_multiple_of(2) {
        let message = format!("`{text}` is not hex");
        return Err(Fault::new(message, "write two hex digits for each byte, such as \"00ff\""));
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}
