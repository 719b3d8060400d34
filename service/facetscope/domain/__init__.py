"""The words of the field as values: units, jobs, events, errors. Imports no other room."""
