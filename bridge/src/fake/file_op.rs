//! File actions over trees in memory.
//!
//! Only what tests of graphs need: patterns know `*`, `?` and `**`; archives, named owners and timestamps are
//! beyond it and refused rather than done wrongly, timestamps being ignored.

use bytes::Bytes;
use treenail_protos::pb::{self, file_action::Action, user_opt::User};

use super::tree::{Content, Node, Tree, clean};
use crate::Error;

/// Runs the actions and answers the op's outputs in order.
pub(super) fn run(op: &pb::FileOp, inputs: &[Tree]) -> Result<Vec<Tree>, Error> {
    let mut states: Vec<Tree> = inputs.to_vec();
    let mut outputs: Vec<(i64, Tree)> = Vec::new();
    for action in &op.actions {
        let mut tree = pick(&states, action.input)?;
        match action.action.as_ref() {
            Some(Action::Mkfile(make)) => {
                parent_exists(&tree, &make.path)?;
                let node = Node { mode: bits(make.mode, 0o644), ..Node::file(Bytes::clone(&make.data)) };
                tree.put(&make.path, owned(node, make.owner.as_ref())?);
            }
            Some(Action::Mkdir(make)) => {
                if !make.make_parents {
                    parent_exists(&tree, &make.path)?;
                }
                // An existing directory stays as it is.
                if !tree.is_directory(&make.path) {
                    let node = Node { mode: bits(make.mode, 0o755), ..Node::directory() };
                    tree.put(&make.path, owned(node, make.owner.as_ref())?);
                }
            }
            Some(Action::Symlink(make)) => {
                parent_exists(&tree, &make.newpath)?;
                tree.put(&make.newpath, owned(Node::link(&make.oldpath), make.owner.as_ref())?);
            }
            Some(Action::Rm(rm)) => remove(&mut tree, rm)?,
            Some(Action::Copy(copy)) => copy_into(&mut tree, &pick(&states, action.secondary_input)?, copy)?,
            None => return Err(refused("file action without an action")),
        }
        if action.output >= 0 {
            outputs.push((action.output, tree.clone()));
        }
        states.push(tree);
    }
    outputs.sort_by_key(|(index, _)| *index);
    Ok(outputs.into_iter().map(|(_, tree)| tree).collect())
}

fn pick(states: &[Tree], index: i64) -> Result<Tree, Error> {
    if index < 0 {
        return Ok(Tree::default());
    }
    let tree = usize::try_from(index).ok().and_then(|index| states.get(index));
    tree.cloned().ok_or_else(|| refused(&format!("no input {index}")))
}

fn remove(tree: &mut Tree, rm: &pb::FileActionRm) -> Result<(), Error> {
    let victims = if rm.allow_wildcard { expand(tree, &rm.path) } else { vec![clean(&rm.path)] };
    let mut removed = false;
    for victim in victims {
        removed |= tree.remove(&victim);
    }
    if removed || rm.allow_not_found { Ok(()) } else { Err(missing(&rm.path)) }
}

/// # Source
/// BuildKit v0.32.2 `solver/llbsolver/file/backend.go` and fsutil's `copy/copy.go`: a directory is merged into
/// the destination when its contents are asked for; anything else goes below a destination that is a directory
/// or is spelled like one.
fn copy_into(tree: &mut Tree, from: &Tree, copy: &pb::FileActionCopy) -> Result<(), Error> {
    if copy.attempt_unpack_docker_compatibility || !copy.mode_str.is_empty() {
        return Err(refused("the fake neither unpacks nor reads symbolic modes"));
    }
    let sources = if copy.allow_wildcard { expand(from, &copy.src) } else { vec![clean(&copy.src)] };
    if sources.is_empty() {
        return if copy.allow_empty_wildcard { Ok(()) } else { Err(missing(&copy.src)) };
    }
    let dest = clean(&copy.dest);
    if !copy.create_dest_path {
        parent_exists(tree, &copy.dest)?;
    }
    for source in sources {
        let node = if copy.follow_symlink || source.is_empty() {
            let real = from.resolve(&source)?;
            from.get(&real).cloned().unwrap_or_else(Node::directory)
        } else {
            from.get(&source).cloned().ok_or_else(|| missing(&copy.src))?
        };
        let is_directory = node.content == Content::Directory;
        let into = tree.is_directory(&dest) || copy.dest.ends_with('/');
        let name = source.rsplit('/').next().unwrap_or_default();
        let target = if into && !(is_directory && copy.dir_copy_contents) {
            format!("{dest}/{name}")
        } else {
            dest.clone()
        };
        let put = |tree: &mut Tree, path: &str, mut node: Node| -> Result<(), Error> {
            if copy.mode >= 0 && !matches!(node.content, Content::Link(_)) {
                node.mode = bits(copy.mode, node.mode);
            }
            tree.put(path, owned(node, copy.owner.as_ref())?);
            Ok(())
        };
        if !is_directory {
            put(tree, &target, node)?;
            continue;
        }
        if !tree.is_directory(&target) {
            put(tree, &target, node)?;
        }
        for (path, node) in from.subtree(&source)?.iter() {
            if selected(path, copy) {
                put(tree, &format!("{target}/{path}"), node.clone())?;
            }
        }
    }
    Ok(())
}

/// Is a path of a copied directory wanted? Directories appear with what is in them unless nothing filters.
fn selected(path: &str, copy: &pb::FileActionCopy) -> bool {
    let named = |patterns: &[String]| {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        ends.into_iter().any(|end| patterns.iter().any(|pattern| matches(&clean(pattern), &path[..end])))
    };
    (copy.include_patterns.is_empty() || named(&copy.include_patterns)) && !named(&copy.exclude_patterns)
}

fn expand(tree: &Tree, pattern: &str) -> Vec<String> {
    let pattern = clean(pattern);
    if pattern.is_empty() {
        return vec![pattern];
    }
    tree.iter().filter(|(path, _)| matches(&pattern, path)).map(|(path, _)| path.to_owned()).collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    fn parts(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["**", rest @ ..], _) => parts(rest, path) || (!path.is_empty() && parts(pattern, &path[1..])),
            ([first, rest @ ..], [head, tail @ ..]) => {
                part(first.as_bytes(), head.as_bytes()) && parts(rest, tail)
            }
            _ => false,
        }
    }
    fn part(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => part(rest, text) || (!text.is_empty() && part(pattern, &text[1..])),
            ([b'?', rest @ ..], [_, tail @ ..]) => part(rest, tail),
            ([want, rest @ ..], [have, tail @ ..]) => want == have && part(rest, tail),
            _ => false,
        }
    }
    parts(&pattern.split('/').collect::<Vec<_>>(), &path.split('/').collect::<Vec<_>>())
}

fn owned(mut node: Node, owner: Option<&pb::ChownOpt>) -> Result<Node, Error> {
    let number = |user: Option<&pb::UserOpt>| match user.and_then(|user| user.user.as_ref()) {
        None => Ok(None),
        Some(User::ById(id)) => Ok(Some(*id)),
        Some(User::ByName(_)) => Err(refused("the fake knows no names of owners")),
    };
    if let Some(owner) = owner {
        node.uid = number(owner.user.as_ref())?.unwrap_or(node.uid);
        node.gid = number(owner.group.as_ref())?.unwrap_or(node.gid);
    }
    Ok(node)
}

/// -1 is "unset" in copies.
fn bits(mode: i32, unset: u32) -> u32 {
    u32::try_from(mode).map_or(unset, |mode| mode & 0o7777)
}

fn parent_exists(tree: &Tree, path: &str) -> Result<(), Error> {
    let path = clean(path);
    let parent = path.rfind('/').map_or("", |slash| &path[..slash]);
    if tree.is_directory(parent) { Ok(()) } else { Err(missing(&path)) }
}

fn missing(path: &str) -> Error {
    Error::Vertex { vertex: None, message: format!("lstat /{}: no such file or directory", clean(path)) }
}

fn refused(message: &str) -> Error {
    Error::Refused { operation: "solve", message: message.to_owned() }
}
