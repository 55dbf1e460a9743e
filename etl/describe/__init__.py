"""Descriptions of the warehouse's tables and views for people and for other tools, made from the declarations alone."""
