//! Data types of properties.

use std::fmt;

/// The type of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    /// `text` (and `string`, its old name).
    Text,
    /// `text[]`.
    TextArray,
    /// `int`.
    Int,
    /// `int[]`.
    IntArray,
    /// `number`.
    Number,
    /// `number[]`.
    NumberArray,
    /// `boolean`.
    Boolean,
    /// `boolean[]`.
    BooleanArray,
    /// `date`.
    Date,
    /// `date[]`.
    DateArray,
    /// `uuid`.
    Uuid,
    /// `uuid[]`.
    UuidArray,
    /// `geoCoordinates`.
    GeoCoordinates,
    /// `phoneNumber`.
    PhoneNumber,
    /// `blob`.
    Blob,
    /// `object`.
    Object,
    /// `object[]`.
    ObjectArray,
    /// References to objects of these classes.
    Reference(Vec<String>),
}

impl DataType {
    /// A type by its name; references have none.
    pub fn primitive(name: &str) -> Option<Self> {
        Some(match name {
            "text" | "string" => Self::Text,
            "text[]" | "string[]" => Self::TextArray,
            "int" => Self::Int,
            "int[]" => Self::IntArray,
            "number" => Self::Number,
            "number[]" => Self::NumberArray,
            "boolean" => Self::Boolean,
            "boolean[]" => Self::BooleanArray,
            "date" => Self::Date,
            "date[]" => Self::DateArray,
            "uuid" => Self::Uuid,
            "uuid[]" => Self::UuidArray,
            "geoCoordinates" => Self::GeoCoordinates,
            "phoneNumber" => Self::PhoneNumber,
            "blob" => Self::Blob,
            "object" => Self::Object,
            "object[]" => Self::ObjectArray,
            _ => return None,
        })
    }

    /// What `dataType` of a property says; none if it is nothing valid.
    pub fn parse(names: &[&str]) -> Option<Self> {
        match names {
            [] => None,
            [name] if !name.starts_with(|c: char| c.is_ascii_uppercase()) => Self::primitive(name),
            classes => Some(Self::Reference(
                classes.iter().map(|&name| name.to_owned()).collect(),
            )),
        }
    }

    /// Texts are searchable and tokenised.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::TextArray)
    }

    /// Has nested properties.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object | Self::ObjectArray)
    }

    /// Refers to other objects.
    pub fn is_reference(&self) -> bool {
        matches!(self, Self::Reference(_))
    }

    /// The type of the elements of an array.
    pub fn element(&self) -> Option<Self> {
        Some(match self {
            Self::TextArray => Self::Text,
            Self::IntArray => Self::Int,
            Self::NumberArray => Self::Number,
            Self::BooleanArray => Self::Boolean,
            Self::DateArray => Self::Date,
            Self::UuidArray => Self::Uuid,
            Self::ObjectArray => Self::Object,
            _ => return None,
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::TextArray => "text[]",
            Self::Int => "int",
            Self::IntArray => "int[]",
            Self::Number => "number",
            Self::NumberArray => "number[]",
            Self::Boolean => "boolean",
            Self::BooleanArray => "boolean[]",
            Self::Date => "date",
            Self::DateArray => "date[]",
            Self::Uuid => "uuid",
            Self::UuidArray => "uuid[]",
            Self::GeoCoordinates => "geoCoordinates",
            Self::PhoneNumber => "phoneNumber",
            Self::Blob => "blob",
            Self::Object => "object",
            Self::ObjectArray => "object[]",
            Self::Reference(classes) => return formatter.write_str(&classes.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::DataType;

    #[test]
    fn a_name_with_a_capital_is_a_class() {
        assert_eq!(DataType::parse(&["int[]"]), Some(DataType::IntArray));
        assert_eq!(DataType::parse(&["string"]), Some(DataType::Text));
        assert_eq!(
            DataType::parse(&["Article"]),
            Some(DataType::Reference(vec!["Article".into()]))
        );
        assert_eq!(DataType::parse(&["frob"]), None);
        assert_eq!(DataType::parse(&[]), None);
    }
}
