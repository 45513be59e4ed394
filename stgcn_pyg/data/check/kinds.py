"""The kinds of faults and notes that a check finds, in the order in which they are shown.

A fault makes a result wrong or a run fail. Everything else is a note.
"""

FAULTS = {
    "wrong name or label": "a name of the wrong form, or a label and a name that disagree",
    "named twice": "pictures that the labels give to two identities or cameras",
    "missing": "the labels name these pictures, and they are not on disk",
    "cannot be read": "the system does not let these files be read",
    "empty": "files of 0 bytes",
    "no picture": "files whose content is no picture",
    "cannot be used": "pictures whose pixels cannot be turned into 8-bit RGB",
    "truncated or damaged": "pictures that do not decode to their end",
    "same picture": "the same bytes under labels that contradict each other",
    "too short": "tracklets with fewer frames than --min-frames",
    "no match": "no query has its person in another camera of the gallery",
    "in train and test": "people to train on who are also in the query or the gallery",
}
"""What must be mended before the data set is used."""

NOTES = {
    "listed twice": "tracklets with pictures that the labels list again, without contradiction",
    "wrong format": "pictures of another format than their name says, which are read all the same",
    "repeated frames": "tracklets in which a picture repeats an earlier one, byte for byte",
    "shared pictures": "pairs of tracklets with pictures in common, byte for byte, whose labels "
    "do not contradict each other",
    "query in the gallery": "tracklets of the query with a copy in the gallery under another name",
    "query without a match": "queries that the evaluation leaves out: their person is in no other "
    "camera of the gallery",
    "one camera": "people whom one camera alone shows, and who are not searched for",
    "gap": "tracklets whose frames are numbered in a row, but for a few that are left out",
    "unused": "pictures that are in no tracklet",
}
"""What is worth knowing and occurs in sound data sets."""
