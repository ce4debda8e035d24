//! Words of closed sets into their enums.

use serde::de::DeserializeOwned;
use serde::de::value::{Error, StrDeserializer};

use super::{Built, missing};
use crate::problem::Problem;
use crate::read::View;

/// The variant that a word stands for, as serde names them.
pub fn word<T: DeserializeOwned>(view: View<'_>, option: &str) -> Built<T> {
    optional_word(view, option)?.ok_or_else(|| missing(option))
}

/// `None` for null.
pub fn optional_word<T: DeserializeOwned>(view: View<'_>, option: &str) -> Built<Option<T>> {
    view.text(option)
        .map(|text| variant(text, option))
        .transpose()
}

pub fn variant<T: DeserializeOwned>(text: &str, option: &str) -> Built<T> {
    T::deserialize(StrDeserializer::<Error>::new(text)).map_err(|error| {
        Box::new(Problem::about(
            option,
            format!("`{text}` is not accepted here: {error}"),
        ))
    })
}
