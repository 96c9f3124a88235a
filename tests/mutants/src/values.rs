//! What a function may return instead.

const NUMBERS: [&str; 12] =
    ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "isize", "f64"];

/// The fixed values of a type that are likely to be wrong and to compile.
pub fn of(output: &syn::ReturnType) -> Vec<&'static str> {
    let syn::ReturnType::Type(_, output) = output else { return vec!["()"] };
    match &**output {
        syn::Type::Path(path) => of_path(path),
        syn::Type::Tuple(tuple) if tuple.elems.is_empty() => vec!["()"],
        syn::Type::Tuple(_) => vec!["Default::default()"],
        _ => Vec::new(),
    }
}

fn of_path(path: &syn::TypePath) -> Vec<&'static str> {
    let Some(last) = path.path.segments.last() else { return Vec::new() };
    let name = last.ident.to_string();
    match name.as_str() {
        "bool" => vec!["true", "false"],
        "Option" => vec!["None"],
        "Result" => vec!["Ok(Default::default())"],
        "Self" => Vec::new(),
        number if NUMBERS.contains(&number) => vec!["Default::default()", "1 as _"],
        _ => vec!["Default::default()"],
    }
}
