"""BPMN: what a diagram may say, and how it runs."""
