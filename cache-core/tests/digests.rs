//! Digests: validation, text form, order.
#![allow(clippy::unwrap_used, missing_docs)]

use cache_core::{Algorithm, Digest, DigestHasher, ErrorKind};
use proptest::prelude::{any, proptest};

#[test]
fn a_digest_prints_what_it_parses() {
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of(b""), empty.parse().unwrap());
    assert_eq!(Digest::of(b"").to_string(), empty);
    for algorithm in Algorithm::ALL {
        let digest = DigestHasher::new(algorithm).finish();
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert_eq!(Digest::from_bytes(algorithm, digest.as_bytes()), Some(digest));
    }
}

#[test]
fn a_digest_that_is_a_path_or_has_odd_bytes_is_invalid() {
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for text in [
        String::new(),
        "sha256".into(),
        "sha256:".into(),
        hex.into(),
        format!("md5:{hex}"),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("SHA256:{hex}"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:../../{}", &hex[6..]),
        format!("sha256:{}\0", &hex[1..]),
        format!(" sha256:{hex}"),
        format!("sha512:{hex}"),
        format!("sha256:{}é", &hex[2..]),
    ] {
        assert_eq!(text.parse::<Digest>().unwrap_err().kind(), ErrorKind::Invalid, "{text:?}");
    }
}

#[test]
fn raw_output_of_another_length_is_no_digest() {
    assert_eq!(Digest::from_bytes(Algorithm::Sha256, &[0; 31]), None);
    assert_eq!(Digest::from_bytes(Algorithm::Sha512, &[0; 48]), None);
}

proptest! {
    #[test]
    fn digests_sort_as_their_text(a in any::<[u8; 32]>(), b in any::<[u8; 48]>(), c in any::<[u8; 32]>()) {
        let a = Digest::from_bytes(Algorithm::Sha256, &a).unwrap();
        let b = Digest::from_bytes(Algorithm::Sha384, &b).unwrap();
        let c = Digest::from_bytes(Algorithm::Sha256, &c).unwrap();
        assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        assert_eq!(a.cmp(&c), a.to_string().cmp(&c.to_string()));
    }

    #[test]
    fn pieces_hash_like_the_whole(content in any::<Vec<u8>>(), cut in any::<proptest::sample::Index>()) {
        let cut = if content.is_empty() { 0 } else { cut.index(content.len()) };
        let mut hasher = DigestHasher::default();
        hasher.update(&content[..cut]);
        hasher.update(&content[cut..]);
        assert_eq!(hasher.finish(), Digest::of(&content));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = text.parse::<Digest>();
    }
}
