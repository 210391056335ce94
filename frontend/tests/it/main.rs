//! The frontend as people use it: in its image, under a real buildx, with a stock daemon.
//!
//! * `calls`: questions about a build file.
//! * `example`: the example of this repository.
//! * `files`: build contexts in, files out.
//! * `images`: images out, and what is cached.
//! * `mistakes`: what is refused or fails, and which lines are shown.

mod buildx;
mod calls;
mod example;
mod files;
mod images;
mod mistakes;
