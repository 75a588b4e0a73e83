"""What a person would look at, as small plain data: samples beside data, predictions beside truth.

`drawing.of` draws the evidence of a run that has been judged. Each figure names the rules whose findings it proves:
those that ask for the evidence it is made of. Everything is bounded, chosen evenly and always the same.
"""
