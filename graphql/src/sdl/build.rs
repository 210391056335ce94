//! Raw definitions to the model: names resolved, things sorted, defaults parsed.

use std::collections::HashMap;
use std::sync::Arc;

use super::read::{Raw, RawArg, RawField, RawRef, RawType, read};
use super::{
    AppliedDirective, ArgDef, DefaultValue, DirectiveDef, EnumValueDef, FieldDef, Meta, SchemaModel,
    SdlError, TypeDef, TypeId, TypeKind, TypeRef,
};
use crate::coerce;

/// The directive that every schema has beside those in the files, as introspection of 0.19.11 lists it.
const BUILT_IN: (&str, &str) = (
    "built-in",
    "\"\"\"Marks what should not be used any more.\"\"\" directive @deprecated(reason: String! = \"No longer supported\") on \
     FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | ENUM_VALUE",
);

pub(super) fn build(version: &str, mut raw: Raw) -> Result<SchemaModel, SdlError> {
    raw.directives.extend(read(&[BUILT_IN])?.directives);
    raw.types.sort_by(|a, b| a.name.cmp(&b.name));
    raw.directives.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = raw.types.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(SdlError::Invalid(format!("type `{}` is defined twice", pair[0].name)));
    }
    let by_name: HashMap<Arc<str>, TypeId> =
        raw.types.iter().enumerate().map(|(at, ty)| (Arc::clone(&ty.name), TypeId(at as u32))).collect();
    let names = Names { by_name: &by_name };
    let query = names.id("Query")?;
    let mut types = raw
        .types
        .into_iter()
        .enumerate()
        .map(|(at, ty)| names.type_def(TypeId(at as u32), ty))
        .collect::<Result<Vec<_>, _>>()?;
    add_meta_fields(&names, &mut types[query.index()])?;
    let mut field_count = 0;
    for ty in &mut types {
        finish_type(ty, &mut field_count)?;
    }
    let mut directives = Vec::new();
    for raw in raw.directives {
        let args = raw.args.into_iter().map(|arg| names.arg_def(arg)).collect::<Result<_, _>>()?;
        directives.push(DirectiveDef {
            name: raw.name,
            description: raw.description,
            args,
            locations: raw.locations,
        });
    }
    let mut typename = names.meta_field(query, "__typename", "String!", Meta::Typename, Vec::new())?;
    typename.ordinal = field_count;
    let condition = names.arg_def(required("if", "Boolean"))?;
    let field_count = field_count + 1;
    let mut model = SchemaModel {
        version: version.into(),
        types,
        by_name,
        directives,
        query,
        typename,
        condition,
        field_count,
    };
    parse_defaults(&mut model)?;
    Ok(model)
}

/// Adds the root fields that introspection answers.
fn add_meta_fields(names: &Names<'_>, query: &mut TypeDef) -> Result<(), SdlError> {
    let name = required("name", "String");
    query.fields.push(names.meta_field(query.id, "__schema", "__Schema!", Meta::Schema, Vec::new())?);
    query.fields.push(names.meta_field(
        query.id,
        "__schemaVersion",
        "String!",
        Meta::SchemaVersion,
        Vec::new(),
    )?);
    query.fields.push(names.meta_field(
        query.id,
        "__type",
        "__Type",
        Meta::Type,
        vec![names.arg_def(name)?],
    )?);
    Ok(())
}

fn required(name: &str, ty: &str) -> RawArg {
    let ty = RawRef::Named { name: ty.into(), non_null: true };
    RawArg { name: name.into(), description: "".into(), ty, default: None, directives: Vec::new() }
}

/// Sorts the fields and makes the table of names.
fn finish_type(ty: &mut TypeDef, field_count: &mut usize) -> Result<(), SdlError> {
    ty.fields.sort_by(|a, b| a.name.cmp(&b.name));
    for field in &mut ty.fields {
        field.ordinal = *field_count;
        *field_count += 1;
    }
    // Only one of the three lists has entries.
    let names = ty.fields.iter().map(|field| &field.name).chain(ty.inputs.iter().map(|arg| &arg.name));
    for (at, name) in names.chain(ty.values.iter().map(|value| &value.name)).enumerate() {
        if ty.by_name.insert(Arc::clone(name), at).is_some() {
            return Err(SdlError::Invalid(format!("`{}.{name}` is defined twice", ty.name)));
        }
    }
    match ty.values.iter().find(|value| !ty.by_name.contains_key(&value.canonical)) {
        Some(value) => Err(SdlError::Invalid(format!(
            "`{}.{}` stands for `{}`, which is not there",
            ty.name, value.name, value.canonical
        ))),
        None => Ok(()),
    }
}

/// Gives every default its value, now that enums and input objects are known.
fn parse_defaults(model: &mut SchemaModel) -> Result<(), SdlError> {
    // Input objects first: their own defaults are part of the value of an argument.
    for at in 0..model.types.len() {
        let mut inputs = std::mem::take(&mut model.types[at].inputs);
        inputs.iter_mut().try_for_each(|arg| parse_default(model, arg))?;
        model.types[at].inputs = inputs;
    }
    for at in 0..model.types.len() {
        let mut fields = std::mem::take(&mut model.types[at].fields);
        fields.iter_mut().flat_map(|field| &mut field.args).try_for_each(|arg| parse_default(model, arg))?;
        model.types[at].fields = fields;
    }
    let mut directives = std::mem::take(&mut model.directives);
    directives
        .iter_mut()
        .flat_map(|directive| &mut directive.args)
        .try_for_each(|arg| parse_default(model, arg))?;
    model.directives = directives;
    Ok(())
}

fn parse_default(model: &SchemaModel, arg: &mut ArgDef) -> Result<(), SdlError> {
    if let Some(default) = &mut arg.default {
        default.value = coerce::constant(model, &default.text, &arg.ty).map_err(|cause| {
            SdlError::Invalid(format!("the default of `{}` is no {}: {cause}", arg.name, arg.ty))
        })?;
    }
    Ok(())
}

struct Names<'m> {
    by_name: &'m HashMap<Arc<str>, TypeId>,
}

impl Names<'_> {
    fn id(&self, name: &str) -> Result<TypeId, SdlError> {
        self.by_name
            .get(name)
            .copied()
            .ok_or_else(|| SdlError::Invalid(format!("type `{name}` is not defined")))
    }

    fn type_ref(&self, raw: &RawRef) -> Result<TypeRef, SdlError> {
        Ok(match raw {
            RawRef::Named { name, non_null } => {
                TypeRef::Named { name: Arc::clone(name), id: self.id(name)?, non_null: *non_null }
            }
            RawRef::List { of, non_null } => {
                TypeRef::List { of: Box::new(self.type_ref(of)?), non_null: *non_null }
            }
        })
    }

    fn type_def(&self, id: TypeId, raw: RawType) -> Result<TypeDef, SdlError> {
        let id_of = raw
            .name
            .strip_suffix("ID")
            .filter(|of| raw.kind == TypeKind::Scalar && self.by_name.contains_key(*of))
            .map(Arc::from);
        Ok(TypeDef {
            id,
            kind: raw.kind,
            id_of,
            description: raw.description,
            directives: raw.directives,
            fields: raw
                .fields
                .into_iter()
                .map(|field| self.field_def(id, field))
                .collect::<Result<_, _>>()?,
            inputs: raw.inputs.into_iter().map(|arg| self.arg_def(arg)).collect::<Result<_, _>>()?,
            values: raw.values.into_iter().map(enum_value).collect(),
            name: raw.name,
            by_name: HashMap::new(),
        })
    }

    fn field_def(&self, owner: TypeId, raw: RawField) -> Result<FieldDef, SdlError> {
        let ty = raw.ty.ok_or_else(|| SdlError::Invalid(format!("field `{}` has no type", raw.name)))?;
        Ok(FieldDef {
            ordinal: 0,
            owner,
            hidden: raw.name.starts_with('_'),
            description: raw.description,
            args: raw.args.into_iter().map(|arg| self.arg_def(arg)).collect::<Result<_, _>>()?,
            ty: self.type_ref(&ty)?,
            deprecation: deprecation(&raw.directives),
            directives: raw.directives,
            meta: None,
            name: raw.name,
        })
    }

    fn arg_def(&self, raw: RawArg) -> Result<ArgDef, SdlError> {
        Ok(ArgDef {
            description: raw.description,
            ty: self.type_ref(&raw.ty)?,
            default: raw.default.map(|text| DefaultValue { text, value: coerce::ArgValue::Null }),
            deprecation: deprecation(&raw.directives),
            directives: raw.directives,
            name: raw.name,
        })
    }

    fn meta_field(
        &self,
        owner: TypeId,
        name: &str,
        ty: &str,
        meta: Meta,
        args: Vec<ArgDef>,
    ) -> Result<FieldDef, SdlError> {
        let raw = RawRef::Named { name: ty.trim_end_matches('!').into(), non_null: ty.ends_with('!') };
        Ok(FieldDef {
            ordinal: 0,
            owner,
            name: name.into(),
            description: "".into(),
            args,
            ty: self.type_ref(&raw)?,
            deprecation: None,
            directives: Vec::new(),
            hidden: true,
            meta: Some(meta),
        })
    }
}

fn enum_value(raw: RawField) -> EnumValueDef {
    let canonical = argument(&raw.directives, "enumValue", "value").unwrap_or_else(|| Arc::clone(&raw.name));
    EnumValueDef {
        canonical,
        description: raw.description,
        deprecation: deprecation(&raw.directives),
        directives: raw.directives,
        name: raw.name,
    }
}

fn deprecation(directives: &[AppliedDirective]) -> Option<Arc<str>> {
    let deprecated = directives.iter().any(|directive| &*directive.name == "deprecated");
    deprecated
        .then(|| argument(directives, "deprecated", "reason").unwrap_or_else(|| "No longer supported".into()))
}

/// The text of a string argument of an applied directive.
fn argument(directives: &[AppliedDirective], directive: &str, name: &str) -> Option<Arc<str>> {
    let applied = directives.iter().find(|applied| &*applied.name == directive)?;
    let (_, literal) = applied.args.iter().find(|(arg, _)| &**arg == name)?;
    Some(crate::document::string_value(literal).into())
}
