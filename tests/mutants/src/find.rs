//! Finds what can be changed in a source file.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::edits::{Edit, Piece};
use crate::values;

/// One small change of the library.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mutant {
    pub number: u32,
    pub file: String,
    pub line: usize,
    pub function: String,
    /// What was there, and what is there instead.
    pub change: String,
    /// How many of the same function and change come before.
    pub nth: usize,
}

impl Mutant {
    /// Names the mutant, also after other lines of its file have changed.
    pub fn key(&self) -> String {
        let Mutant { file, function, change, nth, .. } = self;
        let nth = if *nth == 0 { String::new() } else { format!(" #{}", nth + 1) };
        format!("{file} | {function} | {change}{nth}")
    }
}

/// Finds the mutants of one file. Numbers begin with `first`.
pub fn find(file: &str, text: &str, first: u32) -> syn::Result<(Vec<Mutant>, Vec<Edit>)> {
    let parsed = syn::parse_file(text)?;
    let mut finder = Finder {
        file,
        text,
        next: first,
        owner: String::new(),
        function: String::new(),
        mutants: Vec::new(),
        edits: Vec::new(),
    };
    finder.visit_file(&parsed);
    Ok((finder.mutants, finder.edits))
}

struct Finder<'a> {
    file: &'a str,
    text: &'a str,
    next: u32,
    /// The type of the `impl` that is read.
    owner: String,
    function: String,
    mutants: Vec<Mutant>,
    edits: Vec<Edit>,
}

fn text(text: impl Into<String>) -> Piece {
    Piece::Text(text.into())
}

fn on(number: u32) -> String {
    format!("crate::switch::on({number})")
}

/// What stands left and right of the operator.
fn sides(binary: &syn::ExprBinary) -> (Piece, Piece) {
    (Piece::Old(binary.left.span().byte_range()), Piece::Old(binary.right.span().byte_range()))
}

impl Finder<'_> {
    fn short(&self, range: Range<usize>) -> String {
        self.text[range].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Notes a mutant and returns its number.
    fn mutant(&mut self, at: &impl Spanned, change: String) -> u32 {
        let number = self.next;
        self.next += 1;
        let nth =
            self.mutants.iter().filter(|one| one.function == self.function && one.change == change).count();
        self.mutants.push(Mutant {
            number,
            file: self.file.to_owned(),
            line: at.span().start().line,
            function: self.function.clone(),
            change,
            nth,
        });
        number
    }

    fn edit(&mut self, range: Range<usize>, pieces: Vec<Piece>, mutants: Vec<u32>) {
        self.edits.push(Edit { range, pieces, mutants });
    }

    /// The function returns a fixed value.
    fn change_body(&mut self, output: &syn::ReturnType, block: &syn::Block) {
        if block.stmts.is_empty() {
            return;
        }
        let start = block.brace_token.span.open().byte_range().end;
        for value in values::of(output) {
            if let [syn::Stmt::Expr(only, None)] = &block.stmts[..]
                && self.short(only.span().byte_range()) == value
            {
                continue;
            }
            let number = self.mutant(block, format!("return {value}"));
            self.edit(
                start..start,
                vec![text(format!(" if {} {{ return {value}; }} ", on(number)))],
                vec![number],
            );
        }
    }

    /// Notes that another operator is there.
    fn other_operator(&mut self, binary: &syn::ExprBinary, other: &str) -> u32 {
        let change = format!("{} -> {other}", self.short(binary.span().byte_range()));
        self.mutant(binary, change)
    }

    fn change_comparison(&mut self, binary: &syn::ExprBinary, function: &str, others: &[&str]) {
        let numbers: Vec<u32> = others.iter().map(|other| self.other_operator(binary, other)).collect();
        let (left, right) = sides(binary);
        let pieces = vec![
            text(format!("crate::switch::{function}({}, &(", numbers[0])),
            left,
            text("), &("),
            right,
            text("))"),
        ];
        self.edit(binary.span().byte_range(), pieces, numbers);
    }

    /// `a && b` is `a || b` with both sides and the result negated, and the other way round.
    fn change_logic(&mut self, binary: &syn::ExprBinary, other: &str) {
        if has_let(&binary.left) || has_let(&binary.right) {
            return;
        }
        let number = self.other_operator(binary, other);
        let (operator, on) = (self.short(binary.op.span().byte_range()), on(number));
        let (left, right) = sides(binary);
        let pieces = vec![
            text("(((("),
            left,
            text(format!(") ^ {on}) {operator} ((")),
            right,
            text(format!(") ^ {on})) ^ {on})")),
        ];
        self.edit(binary.span().byte_range(), pieces, vec![number]);
    }

    fn change_arithmetic(&mut self, binary: &syn::ExprBinary, other: &str) {
        let number = self.other_operator(binary, other);
        let range = binary.span().byte_range();
        let (left, right) = sides(binary);
        let pieces = vec![
            text(format!("(if {} {{ ", on(number))),
            left,
            text(format!(" {other} ")),
            right,
            text(" } else { "),
            Piece::Old(range.clone()),
            text(" })"),
        ];
        self.edit(range, pieces, vec![number]);
    }

    fn negate(&mut self, whole: &syn::Expr, change: String) {
        let range = whole.span().byte_range();
        let number = self.mutant(whole, change);
        let pieces = vec![text("(("), Piece::Old(range.clone()), text(format!(") ^ {})", on(number)))];
        self.edit(range, pieces, vec![number]);
    }

    /// A statement whose value nobody takes is left out. But not `drop`: the end of the block does the same a little later. And
    /// not what only counts for a feature of the tests.
    fn change_statement(&mut self, whole: &syn::Stmt, call: &syn::Expr) {
        let call = match call {
            syn::Expr::Try(tried) => &*tried.expr,
            call => call,
        };
        if !matches!(call, syn::Expr::Call(_) | syn::Expr::MethodCall(_) | syn::Expr::Assign(_)) {
            return;
        }
        let range = whole.span().byte_range();
        let is_left_alone =
            ["drop(", "work::"].iter().any(|start| self.text[range.clone()].starts_with(start));
        if is_left_alone {
            return;
        }
        let number = self.mutant(whole, format!("without {}", self.short(range.clone())));
        let pieces = vec![text(format!("if !{} {{ ", on(number))), Piece::Old(range.clone()), text(" }")];
        self.edit(range, pieces, vec![number]);
    }

    /// An arm of a match that has another arm for all the rest is left out.
    fn change_arm(&mut self, arm: &syn::Arm) {
        let pattern = arm.pat.span().byte_range();
        let number = self.mutant(arm, format!("without the arm {}", self.short(pattern.clone())));
        match &arm.guard {
            None => {
                self.edit(pattern.end..pattern.end, vec![text(format!(" if !{}", on(number)))], vec![number]);
            }
            Some((_, guard)) if !has_let(guard) => {
                let range = guard.span().byte_range();
                let change = format!("{} if {} -> always", self.short(pattern), self.short(range.clone()));
                let always = self.mutant(arm, change);
                let pieces = vec![
                    text(format!("!{} && ({} || ", on(number), on(always))),
                    Piece::Old(range.clone()),
                    text(")"),
                ];
                self.edit(range, pieces, vec![number, always]);
            }
            Some(_) => {
                self.mutants.pop();
                self.next -= 1;
            }
        }
    }
}

/// Returns true if the condition binds names, so that it cannot be an operand.
fn has_let(condition: &syn::Expr) -> bool {
    match condition {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        syn::Expr::Paren(inner) => has_let(&inner.expr),
        _ => false,
    }
}

/// Returns true if other mutants change the outcome of the condition as a whole.
fn is_changed_anyway(condition: &syn::Expr) -> bool {
    match condition {
        syn::Expr::Binary(_) | syn::Expr::Unary(_) | syn::Expr::Let(_) | syn::Expr::Macro(_) => true,
        syn::Expr::Paren(inner) => is_changed_anyway(&inner.expr),
        _ => false,
    }
}

fn is_left_out(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg"))
}

/// The engine's checks of itself change nothing, and without them the engine does the same. A constant has no switch.
fn is_check_or_constant(signature: &syn::Signature) -> bool {
    signature.constness.is_some() || signature.ident.to_string().starts_with("validate")
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_left_out(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_macro(&mut self, _: &'ast syn::Macro) {}

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let is_debug = item
            .trait_
            .as_ref()
            .is_some_and(|(_, path, _)| path.segments.last().is_some_and(|segment| segment.ident == "Debug"));
        if is_left_out(&item.attrs) || is_debug {
            return;
        }
        self.owner = format!("{}::", self.short(item.self_ty.span().byte_range()));
        visit::visit_item_impl(self, item);
        self.owner.clear();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_check_or_constant(&item.sig) && !is_left_out(&item.attrs) {
            self.function = item.sig.ident.to_string();
            self.change_body(&item.sig.output, &item.block);
            visit::visit_block(self, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_check_or_constant(&item.sig) && !is_left_out(&item.attrs) {
            self.function = format!("{}{}", self.owner, item.sig.ident);
            self.change_body(&item.sig.output, &item.block);
            visit::visit_block(self, &item.block);
        }
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        use syn::BinOp;
        match binary.op {
            BinOp::Eq(_) => self.change_comparison(binary, "eq", &["!="]),
            BinOp::Ne(_) => self.change_comparison(binary, "ne", &["=="]),
            BinOp::Lt(_) => self.change_comparison(binary, "lt", &["<=", ">="]),
            BinOp::Le(_) => self.change_comparison(binary, "le", &["<", ">"]),
            BinOp::Gt(_) => self.change_comparison(binary, "gt", &[">=", "<="]),
            BinOp::Ge(_) => self.change_comparison(binary, "ge", &[">", "<"]),
            BinOp::And(_) => self.change_logic(binary, "||"),
            BinOp::Or(_) => self.change_logic(binary, "&&"),
            BinOp::Add(_) => self.change_arithmetic(binary, "-"),
            BinOp::Sub(_) => self.change_arithmetic(binary, "+"),
            BinOp::Mul(_) => self.change_arithmetic(binary, "/"),
            BinOp::Div(_) | BinOp::Rem(_) => self.change_arithmetic(binary, "*"),
            BinOp::BitAnd(_) => self.change_arithmetic(binary, "|"),
            BinOp::BitOr(_) => self.change_arithmetic(binary, "&"),
            BinOp::Shl(_) => self.change_arithmetic(binary, ">>"),
            BinOp::Shr(_) => self.change_arithmetic(binary, "<<"),
            BinOp::AddAssign(_) => self.change_arithmetic(binary, "-="),
            BinOp::SubAssign(_) => self.change_arithmetic(binary, "+="),
            BinOp::BitOrAssign(_) => self.change_arithmetic(binary, "&="),
            BinOp::BitAndAssign(_) => self.change_arithmetic(binary, "|="),
            _ => {}
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr(&mut self, whole: &'ast syn::Expr) {
        if let syn::Expr::Unary(unary) = whole
            && matches!(unary.op, syn::UnOp::Not(_))
        {
            let change = format!("{} -> not negated", self.short(whole.span().byte_range()));
            self.negate(whole, change);
        }
        visit::visit_expr(self, whole);
    }

    fn visit_expr_if(&mut self, whole: &'ast syn::ExprIf) {
        if !is_changed_anyway(&whole.cond) {
            let change = format!("if {} -> negated", self.short(whole.cond.span().byte_range()));
            self.negate(&whole.cond, change);
        }
        visit::visit_expr_if(self, whole);
    }

    fn visit_expr_match(&mut self, whole: &'ast syn::ExprMatch) {
        let takes_all = |arm: &syn::Arm| match &arm.pat {
            syn::Pat::Wild(_) => arm.guard.is_none(),
            // `None` is read as a name too.
            syn::Pat::Ident(name) => {
                arm.guard.is_none() && name.ident.to_string().starts_with(char::is_lowercase)
            }
            _ => false,
        };
        if let Some((last, others)) = whole.arms.split_last()
            && takes_all(last)
        {
            for arm in others {
                self.change_arm(arm);
            }
        }
        visit::visit_expr_match(self, whole);
    }

    fn visit_stmt(&mut self, whole: &'ast syn::Stmt) {
        if let syn::Stmt::Expr(call, Some(_)) = whole {
            self.change_statement(whole, call);
        }
        visit::visit_stmt(self, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edits;

    fn changes(text: &str) -> Vec<String> {
        let (mutants, _) = find("file.rs", text, 0).unwrap();
        mutants.into_iter().map(|mutant| mutant.change).collect()
    }

    #[test]
    fn every_kind_of_change_is_found() {
        let text = "fn f(a: u8, b: bool) -> bool {
            g();
            if h() { return !b; }
            match a { 1 => {} 2 if b => {} _ => {} }
            a + 1 < 5 && b
        }";
        assert_eq!(
            changes(text),
            [
                "return true",
                "return false",
                "without g();",
                "if h() -> negated",
                "!b -> not negated",
                "without the arm 1",
                "without the arm 2",
                "2 if b -> always",
                "a + 1 < 5 && b -> ||",
                "a + 1 < 5 -> <=",
                "a + 1 < 5 -> >=",
                "a + 1 -> -",
            ]
        );
    }

    #[test]
    fn what_cannot_be_switched_is_left_alone() {
        assert!(changes("const fn f(a: u8) -> bool { a < 5 }").is_empty());
        assert!(changes("#[cfg(test)] mod tests { fn f() -> bool { g() } }").is_empty());
        assert_eq!(
            changes("fn f() -> &'static str { if let Some(a) = g() && h() { a } else { drop(b); c } }").len(),
            0
        );
    }

    #[test]
    fn a_changed_file_is_still_rust() {
        let text = "fn f(a: u8) -> Option<u8> { if a == 1 || a - 2 > 3 { a += 1; } Some(a) }";
        let (mutants, found) = find("file.rs", text, 0).unwrap();
        let mut switched: Vec<u32> = found.iter().flat_map(|edit| edit.mutants.clone()).collect();
        switched.sort_unstable();
        assert_eq!(switched, mutants.iter().map(|mutant| mutant.number).collect::<Vec<_>>());
        let edited = edits::apply(text, found);
        assert!(syn::parse_file(&edited.text).is_ok(), "{}", edited.text);
    }
}
