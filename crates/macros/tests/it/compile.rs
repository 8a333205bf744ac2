//! Mistakes are told where they are, and what is right compiles.

#[test]
fn mistakes_point_at_what_is_wrong() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
