//! Names of classes, properties, tenants and aliases.

/// Longest name of a class or alias, in characters.
const MAX_CLASS_CHARS: usize = 255;
/// Longest name of a property, in characters.
const MAX_PROPERTY_CHARS: usize = 231;
/// Longest name of a tenant, in characters.
const MAX_TENANT_CHARS: usize = 64;

/// The name with its first letter in upper case, as classes are called.
pub fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A letter or underscore, then letters, digits, underscores; at most so many characters.
fn is_identifier(name: &str, max_chars: usize) -> bool {
    let mut bytes = name.bytes();
    name.len() <= max_chars
        && bytes
            .next()
            .is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

fn check_capitalised(name: &str, what: &str) -> Result<(), String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_uppercase());
    if starts_well && is_identifier(name, MAX_CLASS_CHARS) {
        return Ok(());
    }
    let mut complaint = format!("'{name}' is not a valid {what} name");
    if name.chars().count() > MAX_CLASS_CHARS {
        complaint += &format!(". Name should not be longer than {MAX_CLASS_CHARS} characters");
    }
    Err(complaint)
}

/// Checks the name of a class, capitalised already.
///
/// # Errors
/// The complaint.
pub fn check_class_name(name: &str) -> Result<(), String> {
    check_capitalised(name, "class")
}

/// Checks the name of an alias, capitalised already.
///
/// # Errors
/// The complaint.
pub fn check_alias_name(name: &str) -> Result<(), String> {
    check_capitalised(name, "alias")
}

/// Checks the name of a property.
pub(super) fn check_property_name(name: &str) -> Result<(), String> {
    if !is_identifier(name, MAX_PROPERTY_CHARS) {
        return Err(format!(
            "'{name}' is not a valid property name. Property names in Weaviate are restricted to valid GraphQL \
             names, which must be “/[_A-Za-z][_0-9A-Za-z]{{0,230}}/”"
        ));
    }
    if matches!(name, "id" | "_id" | "_additional") {
        return Err(format!("'{name}' is a reserved property name"));
    }
    Ok(())
}

/// Checks the name of a tenant.
///
/// # Errors
/// The complaint, without where the name stands.
pub fn check_tenant_name(name: &str) -> Result<(), String> {
    let is_valid = (1..=MAX_TENANT_CHARS).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_valid {
        return Ok(());
    }
    Err(format!(
        "'{name}' is not a valid tenant name. should only contain alphanumeric characters (a-z, A-Z, 0-9), \
         underscore (_), and hyphen (-), with a length between 1 and 64 characters"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_is_raised() {
        assert_eq!(capitalised("article"), "Article");
        assert_eq!(capitalised(""), "");
    }

    #[test]
    fn class_names_are_identifiers_of_bounded_length() {
        assert!(check_class_name("A_1").is_ok());
        for bad in ["", "1abc", "A-b", "A.b", "Bad Name", "Üni"] {
            assert_eq!(
                check_class_name(bad),
                Err(format!("'{bad}' is not a valid class name"))
            );
        }
        assert!(check_class_name(&"A".repeat(255)).is_ok());
        let complaint = check_class_name(&"A".repeat(256)).unwrap_err();
        assert!(complaint.ends_with("not be longer than 255 characters"));
    }

    #[test]
    fn some_property_names_are_reserved() {
        assert!(check_property_name("_x9").is_ok());
        assert_eq!(
            check_property_name("id").unwrap_err(),
            "'id' is a reserved property name"
        );
        assert!(check_property_name("a b").unwrap_err().contains("GraphQL"));
    }

    #[test]
    fn tenants_have_letters_digits_hyphens() {
        assert!(check_tenant_name("t-1_A").is_ok());
        assert!(check_tenant_name("").is_err());
        assert!(check_tenant_name("a b").is_err());
        assert!(check_tenant_name(&"a".repeat(65)).is_err());
    }
}
