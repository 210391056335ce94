//! The frontend as people use it: in its image, under a real buildx, with a stock daemon.
//!
//! * `calls`: questions about a build file.
//! * `files`: build contexts in, files out.
//! * `images`: images out, and what is cached.
//! * `mistakes`: what is refused or fails, and which lines are shown.

mod buildx;
mod calls;
mod files;
mod images;
mod mistakes;
