//! Phone numbers: country code and national number of what was typed.
//!
//! Numbers are not checked against each country's plan of numbers: a number of plausible length is valid, and it is
//! shown without the groups that the country is used to.

use serde_json::{Map, Value, json};

/// Country and calling code, as ITU-T E.164 assigns them.
const CALLING_CODES: &str = "\
    AC247 AD376 AE971 AF93 AG1 AI1 AL355 AM374 AO244 AR54 AS1 AT43 AU61 AW297 AX358 AZ994 BA387 BB1 BD880 BE32 \
    BF226 BG359 BH973 BI257 BJ229 BL590 BM1 BN673 BO591 BQ599 BR55 BS1 BT975 BW267 BY375 BZ501 CA1 CC61 CD243 CF236 \
    CG242 CH41 CI225 CK682 CL56 CM237 CN86 CO57 CR506 CU53 CV238 CW599 CX61 CY357 CZ420 DE49 DJ253 DK45 DM1 DO1 \
    DZ213 EC593 EE372 EG20 EH212 ER291 ES34 ET251 FI358 FJ679 FK500 FM691 FO298 FR33 GA241 GB44 GD1 GE995 GF594 \
    GG44 GH233 GI350 GL299 GM220 GN224 GP590 GQ240 GR30 GT502 GU1 GW245 GY592 HK852 HN504 HR385 HT509 HU36 ID62 \
    IE353 IL972 IM44 IN91 IO246 IQ964 IR98 IS354 IT39 JE44 JM1 JO962 JP81 KE254 KG996 KH855 KI686 KM269 KN1 KP850 \
    KR82 KW965 KY1 KZ7 LA856 LB961 LC1 LI423 LK94 LR231 LS266 LT370 LU352 LV371 LY218 MA212 MC377 MD373 ME382 MF590 \
    MG261 MH692 MK389 ML223 MM95 MN976 MO853 MP1 MQ596 MR222 MS1 MT356 MU230 MV960 MW265 MX52 MY60 MZ258 NA264 \
    NC687 NE227 NF672 NG234 NI505 NL31 NO47 NP977 NR674 NU683 NZ64 OM968 PA507 PE51 PF689 PG675 PH63 PK92 PL48 PM508 \
    PR1 PS970 PT351 PW680 PY595 QA974 RE262 RO40 RS381 RU7 RW250 SA966 SB677 SC248 SD249 SE46 SG65 SH290 SI386 SJ47 \
    SK421 SL232 SM378 SN221 SO252 SR597 SS211 ST239 SV503 SX1 SY963 SZ268 TA290 TC1 TD235 TG228 TH66 TJ992 TK690 \
    TL670 TM993 TN216 TO676 TR90 TT1 TV688 TW886 TZ255 UA380 UG256 US1 UY598 UZ998 VA39 VC1 VE58 VG1 VI1 VN84 VU678 \
    WF681 WS685 XK383 YE967 YT262 ZA27 ZM260 ZW263";

/// Digits of a number without its country code.
const NATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 4..=14;

fn calling_code(country: &str) -> Option<u64> {
    CALLING_CODES
        .split_ascii_whitespace()
        .find_map(|entry| entry.strip_prefix(country)?.parse().ok())
}

/// Splits the code off a number in international form; no code is the beginning of another.
fn split_code(digits: &str) -> Option<(u64, &str)> {
    CALLING_CODES.split_ascii_whitespace().find_map(|entry| {
        let code = entry.get(2..)?;
        Some((code.parse().ok()?, digits.strip_prefix(code)?))
    })
}

/// Fills in what follows from `input` and `defaultCountry`.
///
/// # Errors
/// The complaint, if there is no number in it.
pub fn complete_phone(given: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default();
    let input = text("input");
    if input.is_empty() {
        return Err("phoneNumber is missing required field 'input'".to_owned());
    }
    let country = text("defaultCountry").to_ascii_uppercase();
    let digits: String = input.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return Err("invalid phone number: the phone number supplied is not a number".to_owned());
    }
    let is_international = input.trim_start().starts_with('+');
    let (code, national) = if is_international {
        split_code(&digits).unwrap_or((0, digits.as_str()))
    } else {
        let code = calling_code(&country).filter(|_| country.len() == 2);
        let Some(code) = code else {
            return Err("invalid phone number: invalid country code".to_owned());
        };
        (code, digits.as_str())
    };
    let significant = national.trim_start_matches('0');
    let is_valid = code != 0 && NATIONAL_DIGITS.contains(&significant.len());
    let mut phone = Map::new();
    phone.insert("countryCode".into(), json!(code));
    if !country.is_empty() {
        phone.insert("defaultCountry".into(), json!(country));
    }
    phone.insert("input".into(), json!(input));
    if is_valid {
        phone.insert(
            "internationalFormatted".into(),
            json!(format!("+{code} {significant}")),
        );
    }
    phone.insert(
        "national".into(),
        json!(significant.parse::<u64>().unwrap_or(0)),
    );
    if is_valid {
        let shown = if is_international { significant } else { input };
        phone.insert("nationalFormatted".into(), json!(shown));
        phone.insert("valid".into(), json!(true));
    }
    Ok(phone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(value: Value) -> Result<Value, String> {
        complete_phone(value.as_object().unwrap()).map(Value::Object)
    }

    #[test]
    fn a_national_number_takes_the_code_of_its_country() {
        let phone = completed(json!({"input": "020 1234567", "defaultCountry": "nl"})).unwrap();
        assert_eq!(phone["countryCode"], 31);
        assert_eq!(phone["defaultCountry"], "NL");
        assert_eq!(phone["national"], 201_234_567);
        assert_eq!(phone["nationalFormatted"], "020 1234567");
        assert_eq!(phone["valid"], true);
    }

    #[test]
    fn an_international_number_brings_its_code() {
        let phone = completed(json!({"input": "+49 171 1234567"})).unwrap();
        assert_eq!(
            (&phone["countryCode"], &phone["national"]),
            (&json!(49), &json!(1_711_234_567))
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(
            completed(json!({"input": "abc"})).unwrap_err(),
            "invalid phone number: the phone number supplied is not a number"
        );
        assert!(
            completed(json!({"input": "123456"}))
                .unwrap_err()
                .contains("country code")
        );
    }

    #[test]
    fn codes_are_prefix_free() {
        let codes: std::collections::BTreeSet<&str> = CALLING_CODES
            .split_ascii_whitespace()
            .map(|it| &it[2..])
            .collect();
        for one in &codes {
            assert!(
                !codes
                    .iter()
                    .any(|other| other != one && other.starts_with(one)),
                "{one}"
            );
        }
    }
}
