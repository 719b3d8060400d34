"""The certificate of a synthesized image: how far what it shows can be trusted.

``refer`` reads natural images once for a unit, ``certify`` measures its images against them.
"""
