//! The image of the disk that carries credentials into a guest.

const MAGIC: &[u8; 8] = b"MVMCRED1";

/// The image, padded to whole sectors.
pub fn render(credentials: &[(&str, &[u8])]) -> Vec<u8> {
    let mut image = MAGIC.to_vec();
    for (name, content) in credentials {
        image.extend((name.len() as u32).to_le_bytes());
        image.extend((content.len() as u32).to_le_bytes());
        image.extend(name.as_bytes());
        image.extend(*content);
    }
    image.resize((image.len() + 8).next_multiple_of(512), 0);
    image
}
