//! Curves, before anybody draws them.

use serde::Serialize;

/// Curves in panels beside each other, all over the same axes. Shares are given in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chart {
    /// What is shown.
    pub title: String,
    /// What grows to the right, with its unit.
    pub across: String,
    /// What grows upwards, with its unit.
    pub up: String,
    /// The panels.
    pub panels: Vec<Panel>,
    /// What must be known to read it; one line each.
    pub notes: Vec<String>,
}

/// One set of axes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    /// What tells it from the others.
    pub title: String,
    /// The curves; those of one name look the same in all panels.
    pub curves: Vec<Curve>,
}

/// One curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// What it is called in the legend.
    pub name: String,
    /// From left to right.
    pub points: Vec<Point>,
}

/// A measured point, all in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Its place to the right.
    pub x: f64,
    /// What was measured.
    pub y: f64,
    /// The least that it may truly be.
    pub low: f64,
    /// The most.
    pub high: f64,
}
