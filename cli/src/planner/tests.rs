//! What the planner decides.
