//! Source positions given from outside reach the vertices that operations become.

use std::collections::BTreeMap;
use std::sync::Arc;

use treenail_llb::{
    Exec, Identity, Image, MarshalOptions, MkdirAction, OpOptions, Output, Platform, SourceFile,
    SourceLocation, SourceRange,
};

fn at(file: &Arc<SourceFile>, line: i32) -> SourceLocation {
    let range = SourceRange { start: (line, 0), end: (line, 9) };
    SourceLocation { file: file.clone(), ranges: vec![range] }
}

#[test]
fn every_operation_of_a_vertex_brings_its_lines_and_the_bytes_stay() {
    let file = Arc::new(SourceFile { filename: "f".to_owned(), ..SourceFile::default() });
    let base = Image::new("docker.io/library/alpine:3.22").output(OpOptions::default());
    let first = Output::file(base.clone(), MkdirAction::new("/a", 0o755), OpOptions::default());
    let second = Output::file(first.clone(), MkdirAction::new("/b", 0o755), OpOptions::default());
    let exec = Exec::new(second.clone(), ["true"]).run().expect("a command").root().expect("a root");
    assert_eq!(exec.inputs()[0].identity(), second.identity());

    let known: BTreeMap<Identity, SourceLocation> = [(&first, 2), (&second, 3), (&exec, 4)]
        .map(|(output, line)| (output.identity(), at(&file, line)))
        .into_iter()
        .collect();
    let options = MarshalOptions::new(Platform::new("linux", "amd64"));
    let located = exec.marshal_located(&options, &|identity| known.get(&identity).cloned());
    let plain = exec.marshal(&options);
    assert_eq!(located.digest, plain.digest);
    assert_eq!(located.definition.def, plain.definition.def);
    assert!(plain.definition.source.is_none());

    let source = located.definition.source.expect("locations");
    assert_eq!(source.infos.len(), 1);
    let lines: Vec<Vec<i32>> = located
        .definition
        .def
        .iter()
        .filter_map(|bytes| source.locations.get(treenail_llb::Digest::of(bytes).as_str()))
        .map(|vertex| vertex.locations.iter().map(|l| l.ranges[0].start.expect("a start").line).collect())
        .collect();
    // Both file actions are one vertex; the image has no position.
    assert_eq!(lines, [vec![2, 3], vec![4]]);
}
