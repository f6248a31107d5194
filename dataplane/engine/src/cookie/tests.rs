//! The examples of RFC 9018, and what is taken for how long.

use super::*;

/// The time of the first example: 2019-06-05 10:53:05 UTC.
const NOW: u32 = 1_559_731_985;
/// The secret of the first three examples.
const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
/// The client of the first two examples.
const CLIENT: Client = Client::Ipv4([198, 51, 100, 100]);

/// Bytes from hexadecimal digits.
fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A keeper of a secret, and of another one where given.
fn keeper(secret: &str, other: Option<&str>) -> Keeper {
    let secret_of = |hex: &str| CookieSecret(bytes(hex).try_into().unwrap());
    let config = CookieConfig { secret: secret_of(secret), other_secret: other.map(secret_of), enforce: false };
    Keeper::new(&config)
}

/// What a keeper makes of the data of a COOKIE option.
fn ask(keeper: &Keeper, data: &[u8], from: Client, now: u32) -> (Finding, Vec<u8>) {
    let (finding, cookies) = keeper.answer(Cookie::decode(data), from, now).unwrap();
    (finding, cookies.to_vec())
}

#[test]
fn rfc_9018_a_1_learning_a_new_server_cookie() {
    let answer = ask(&keeper(SECRET, None), &bytes("2464c4abcf10c957"), CLIENT, NOW);
    assert_eq!(answer, (Finding::Absent, bytes("2464c4abcf10c957010000005cf79f111f8130c3eee29480")));
}

#[test]
fn rfc_9018_a_2_the_same_client_learning_a_renewed_server_cookie() {
    let query = bytes("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
    let answer = ask(&keeper(SECRET, None), &query, CLIENT, 1_559_734_385);
    assert_eq!(answer, (Finding::Valid, bytes("2464c4abcf10c957010000005cf7a871d4a564a1442aca77")));
}

#[test]
fn rfc_9018_a_3_another_client_learning_a_renewed_server_cookie() {
    let (query, client) = (bytes("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"), Client::Ipv4([203, 0, 113, 203]));
    let renewed = bytes("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e");
    assert_eq!(ask(&keeper(SECRET, None), &query, client, 1_559_734_700), (Finding::Invalid, renewed));
    // It was too old then; the reserved bytes count in the hash, and are zero in the next cookie.
    let (finding, cookies) = ask(&keeper(SECRET, None), &query, client, 1_559_727_985);
    assert_eq!((finding, &cookies[8..12]), (Finding::Valid, &VERSION[..]));
}

#[test]
fn rfc_9018_a_4_ipv6_query_with_rolled_over_secret() {
    let (old, new) = ("dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962");
    let client: core::net::Ipv6Addr = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
    let query = bytes("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
    let answer = ask(&keeper(new, Some(old)), &query, Client::Ipv6(client.octets()), 1_559_741_961);
    assert_eq!(answer, (Finding::Valid, bytes("22681ab97d52c298010000005cf7c609a6bb79d16625507a")));
    let (finding, _) = ask(&keeper(new, None), &query, Client::Ipv6(client.octets()), 1_559_741_961);
    assert_eq!(finding, Finding::Invalid, "the previous secret is forgotten");
}

#[test]
fn a_cookie_is_taken_for_an_hour_and_renewed_after_half_of_it() {
    let keeper = keeper(SECRET, None);
    for made in [NOW, u32::MAX, 0, 100] {
        let (_, cookies) = ask(&keeper, &[7; 8], CLIENT, made);
        for (age, valid, renewed) in [
            (-301, false, true),
            (-300, true, false),
            (0, true, false),
            (1800, true, false),
            (1801, true, true),
            (3600, true, true),
            (3601, false, true),
            (i32::MAX, false, true),
            (i32::MIN, false, true),
        ] {
            let (finding, answer) = ask(&keeper, &cookies, CLIENT, made.wrapping_add_signed(age));
            assert_eq!(finding, if valid { Finding::Valid } else { Finding::Invalid }, "{age} seconds from {made}");
            assert_eq!(answer != cookies, renewed, "{age} seconds from {made}");
        }
    }
}

#[test]
fn secrets_change_without_a_client_losing_its_cookie() {
    let (old, new) = ("000102030405060708090a0b0c0d0e0f", "f0e0d0c0b0a090807060504030201000");
    let before = keeper(old, None);
    let stages = [keeper(old, Some(new)), keeper(new, Some(old)), keeper(new, None)];
    let (_, mut cookies) = ask(&before, &[7; 8], CLIENT, NOW);
    for (stage, keeper) in stages.iter().enumerate() {
        // Replicas change one after the other: each takes what the one of the stage before gives.
        let (finding, answer) = ask(keeper, &cookies, CLIENT, NOW);
        assert_eq!(finding, Finding::Valid, "stage {stage}");
        cookies = answer;
    }
    assert_eq!(ask(&before, &cookies, CLIENT, NOW).0, Finding::Invalid);
}

#[test]
fn a_cookie_is_for_one_client_address_and_one_client_cookie() {
    let keeper = keeper(SECRET, None);
    let (_, cookies) = ask(&keeper, &[7; 8], CLIENT, NOW);
    for at in 0..COOKIE_BYTES {
        let mut changed = cookies.clone();
        changed[at] ^= 1;
        // The last bit of the time is a second more or less, which the hash tells.
        assert_eq!(ask(&keeper, &changed, CLIENT, NOW).0, Finding::Invalid, "byte {at}");
    }
    let others = [Client::Ipv4([198, 51, 100, 101]), Client::Ipv6([0; 16])];
    for other in others {
        assert_eq!(ask(&keeper, &cookies, other, NOW).0, Finding::Invalid);
    }
}

#[test]
fn the_length_tells_what_a_cookie_is() {
    for length in 0..=64 {
        let data = vec![1; length];
        let expected = match length {
            8 => Cookie::Client([1; 8]),
            24 => Cookie::Both([1; 8], [1; 16]),
            16..=40 => Cookie::Foreign([1; 8]),
            _ => Cookie::Malformed,
        };
        assert_eq!(Cookie::decode(&data), expected, "{length} bytes");
    }
    let keeper = keeper(SECRET, None);
    assert_eq!(keeper.answer(Cookie::Malformed, CLIENT, NOW), None);
    assert_eq!(ask(&keeper, &[1; 30], CLIENT, NOW).0, Finding::Invalid);
}

#[test]
fn a_secret_is_never_shown() {
    assert_eq!(format!("{:?}", CookieSecret([7; 16])), "CookieSecret(..)");
}
