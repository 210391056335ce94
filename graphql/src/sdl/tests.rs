use super::*;

fn invalid(text: &str) -> String {
    let error = SchemaModel::read(
        "v0",
        &[("test", text), introspection(), ("scalars", "scalar String scalar Boolean")],
    );
    error.expect_err(text).to_string()
}

#[test]
fn the_core_is_complete() {
    let model = SchemaModel::core();
    let own = |ty: &&TypeDef| !ty.name.starts_with('_');
    let count = |kind| model.types().iter().filter(own).filter(|ty| ty.kind == kind).count();
    assert_eq!(count(TypeKind::Object), 57);
    assert_eq!(count(TypeKind::Enum), 13);
    assert_eq!(count(TypeKind::InputObject), 3);
    assert_eq!(count(TypeKind::Scalar), 59 + 4);
    let fields = || model.types().iter().filter(own).flat_map(|ty| &ty.fields).filter(|field| !field.hidden);
    assert_eq!(fields().count(), 703);
    assert_eq!(fields().map(|field| field.args.len()).sum::<usize>(), 648);
    assert_eq!(model.types().iter().filter(|ty| ty.id_of.is_some()).count(), 56);
}

#[test]
fn ordinals_are_dense_and_look_ups_agree() {
    let model = SchemaModel::core();
    let mut seen = vec![false; model.field_count()];
    for ty in model.types() {
        assert_eq!(model.named(&ty.name).map(|found| found.id), Some(ty.id));
        for field in &ty.fields {
            assert!(!std::mem::replace(&mut seen[field.ordinal], true));
            assert_eq!(model.field(ty.id, &field.name).map(|found| found.ordinal), Some(field.ordinal));
            assert_eq!(field.owner, ty.id);
        }
    }
    let typename = model.field(model.query().id, "__typename").expect("every object has it");
    assert!(!std::mem::replace(&mut seen[typename.ordinal], true));
    assert!(seen.iter().all(|seen| *seen));
    assert!(model.named("String").is_some_and(|ty| model.field(ty.id, "__typename").is_none()));
}

#[test]
fn defaults_have_both_forms() {
    let model = SchemaModel::core();
    let arg = |owner: &str, field: &str, arg: &str| {
        let owner = model.named(owner).expect("type").id;
        let default = model
            .field(owner, field)
            .expect("field")
            .arg(arg)
            .expect("argument")
            .default
            .clone()
            .expect("default");
        (default.text.to_string(), default.value)
    };
    assert_eq!(arg("Container", "withExec", "expect"), ("SUCCESS".into(), ArgValue::Enum("SUCCESS".into())));
    assert_eq!(arg("Container", "withNewFile", "permissions"), ("420".into(), ArgValue::Int(420)));
    assert_eq!(arg("JSONValue", "contents", "indent"), ("\"  \"".into(), ArgValue::String("  ".into())));
    assert_eq!(arg("Directory", "filter", "include"), ("[]".into(), ArgValue::List([].into())));
    let alias = model.named("FileType").and_then(|ty| ty.value("REGULAR_TYPE")).expect("alias");
    assert_eq!(&*alias.canonical, "REGULAR");
}

#[test]
fn schemas_that_do_not_fit_are_refused() {
    for (text, expected) in [
        ("type Query {a: Nope}", "schema: type `Nope` is not defined"),
        ("type Query {a: String a: String}", "schema: `Query.a` is defined twice"),
        ("type Query {a: String} type Query {a: String}", "schema: type `Query` is defined twice"),
        (
            "type Query {a(b: Boolean = 1): String}",
            "schema: the default of `b` is no Boolean: cannot create Boolean from int64",
        ),
        (
            "enum E {A @enumValue(value: \"B\")} type Query {a: E}",
            "schema: `E.A` stands for `B`, which is not there",
        ),
        ("type A {a: String}", "schema: type `Query` is not defined"),
        ("type Query {", "schema file `test` does not parse"),
    ] {
        assert_eq!(invalid(text), expected, "{text}");
    }
}

/// Every schema needs the types of introspection.
fn introspection() -> (&'static str, &'static str) {
    CORE_FILES.iter().copied().find(|(name, _)| *name == "introspection").expect("in the list")
}
