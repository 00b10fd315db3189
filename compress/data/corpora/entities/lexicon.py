"""The words of the entities corpus: parts of names, given names that are other words as well, what organisations are called.

Everything here was made up for this project; whoever or whatever has such a name is not meant.
"""

from __future__ import annotations

STEMS = (
    "Ald", "Bar", "Bel", "Bran", "Cal", "Car", "Dal", "Dor", "Elm", "Fal", "Fen", "Gal", "Gar", "Hal", "Har", "Hol", "Ker",
    "Lan", "Lor", "Mal", "Mar", "Mor", "Nor", "Or", "Pel", "Ran", "Ros", "Sal", "Sel", "Tal", "Tor", "Ul", "Val", "Ver", "Wal",
    "Win", "Yar", "Zel",
)  # fmt: skip
ENDS = ("by", "den", "dale", "ford", "gate", "ham", "holm", "ick", "in", "land", "low", "mond", "more", "ney", "ock", "ova",
        "stad", "ton", "vik", "well")  # fmt: skip
"""A stem and an end make a name. The same name is a person's, a place's and an organisation's."""

GIVEN = (
    "Ada", "Amir", "Anna", "Ben", "Bruno", "Carla", "Clara", "David", "Elena", "Emma", "Felix", "Greta", "Hanna", "Hugo",
    "Ida", "Ivan", "Jonas", "Julia", "Karen", "Laura", "Leo", "Lucy", "Mia", "Nina", "Noah", "Nora", "Oscar", "Paul", "Petra",
    "Ravi", "Rita", "Sara", "Simon", "Theo", "Tina", "Vera", "Zoe",
    "April", "August", "Grace", "Hope", "June", "Mark", "May", "Rose", "Summer", "Will",
)  # fmt: skip
"""The last ten are months, seasons and common words as well."""

TITLES = ("Dr", "Mr", "Ms", "Professor", "Captain", "Judge")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
BUSINESS = ("Foods", "Steel", "Motors", "Shipping", "Insurance", "Airlines", "Energy", "Textiles", "Software", "Press")
CLUBS = ("United", "Rovers", "Wanderers", "Athletic")
OF_PLACES = ("University", "Bank", "Port", "Museum")
BEFORE_PLACES = ("New", "Port", "Lake", "Mount", "North", "Upper")
AFTER_PLACES = ("Valley", "Bay", "Island", "Heath")
GOODS = ("wheat", "timber", "steel", "paper", "salt", "cement", "coffee", "wool")
ROLES = ("engineer", "lawyer", "nurse", "painter", "baker", "sailor", "teacher", "economist")
"""What somebody is, in lower case."""
