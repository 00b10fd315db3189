"""The scenes of the dialogue corpus: what people chat about, how it may come out, and what a summary says of it.

A scene opens with one of its exchanges and takes one of its courses. A course is a row of beats, each a choice of
exchanges, and the summaries of what comes out of it; they all tell the same facts. An exchange is `a: text | b: text`,
said by the people `a`, `b`, `c` and `d`, whose names are `{a}`, `{b}`, `{c}` and `{d}`. The other slots are in
`lexicon`: facts (`{day}`, `{time2}`), reasons (`{why}`: first person in a dialogue, third in a summary), and words.

A plan that changes says the old value first, so that neither the first nor the last value seen is always the right one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Course:
    """How a scene goes on and comes out."""

    beats: tuple[tuple[str, ...], ...]
    summaries: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """What a dialogue is about."""

    opening: tuple[str, ...]
    courses: tuple[Course, ...]
    is_private: bool = True
    """Whether people also greet each other as friends and make small talk."""


MEETING = Scene(
    opening=(
        "a: Shall we {activity} on {day}? | b: {yes}! When?",
        "a: I would like to {activity} on {day}. Are you coming? | b: {yes}, I'd love to. What time?",
        "a: What are you doing on {day}? | b: Nothing yet, why? | a: Let's {activity}! | b: {good}. When?",
        "b: I'm bored. | a: Then let's {activity} on {day}. | b: {good}! At what time?",
    ),
    courses=(
        Course(
            (
                (
                    "a: {time} at {place}? | b: {good}.",
                    "a: How about {time}? | b: {yes}. And where? | a: At {place}. | b: {good}.",
                    "a: I'm free at {time}. | b: Me too. Meet you at {place}! | a: {good}.",
                    "a: At {time}, at {place}. | b: Not at {time2} as usual? | a: No, I can't stay so long. | b: {good}.",
                    "b: {time2}? | a: I would prefer {time}. At {place}, not {place2}. | b: {good}.",
                ),
            ),
            (
                "{a} and {b} will {activity} on {day}. They will meet at {time} at {place}.",
                "On {day} {a} and {b} will {activity}. They are meeting at {place} at {time}.",
            ),
        ),
        Course(
            (
                ("a: {time2} at {place}? | b: {good}.", "a: Say {time2}, at {place}. | b: {yes}."),
                (
                    "b: {but} I {why}. Could we make it {time} instead? | a: {yes}, {time} then.",
                    "b: {but} {time2} does not suit me, I {why}. | a: Is {time} better? | b: {yes}, much.",
                    "b: {but} I just saw that I {why}. | a: Then not {time2} but {time}? | b: {good}.",
                ),
            ),
            (
                "{a} and {b} will {activity} on {day}. They will meet at {place} at {time}, as {b} {why}.",
                "{b} {why}, so {a} and {b} will meet at {time} at {place} to {activity} on {day}.",
            ),
        ),
        Course(
            (
                ("a: {time}, at {place2}. | b: {yes}.", "a: At {time}. I'll be at {place2}. | b: {good}."),
                (
                    "b: {but} {place2} is so far for me. Why not {place}? | a: {yes}, {place} it is.",
                    "a: {but} there are road works near {place2}. | b: Then let's meet at {place}. | a: {good}.",
                    "b: {but} isn't {place2} closed then? | a: You're right. Then {place}. | b: {good}.",
                ),
            ),
            (
                "{a} and {b} will {activity} on {day}. They will meet at {time} at {place}.",
                "On {day} {a} and {b} will {activity}. They are meeting at {place} at {time}.",
            ),
        ),
        Course(
            (
                ("a: At {time}, at {place}? | b: {good}.", "a: {time}? We could meet at {place}. | b: {yes}."),
                (
                    "b: {but} I can't on {day} after all, I {why}. | a: What a pity. Another time then! | b: {sorry}!",
                    "b: {but} {day}, you said? Then I {why}. | a: So we have to call it off. | b: {sorry}.",
                ),
            ),
            (
                "{a} and {b} will not {activity} on {day}, because {b} {why}.",
                "{b} {why}, so {a} and {b} can't {activity} on {day}.",
            ),
        ),
        Course(
            (
                (
                    "a: {time} at {place}. | b: {good}.",
                    "a: At {time}, at {place}. | b: It was {time2} last time. | a: I know.",
                ),
                (
                    "c: May I come along? | a: {yes}, {c}! | c: {thanks}!",
                    "c: I would like to join you. | b: The more the better, {c}. | c: {good}!",
                    "b: {c}, do you want to come too? | c: {yes}, I'll be there.",
                ),
            ),
            (
                "{a}, {b} and {c} will {activity} on {day}. They will meet at {time} at {place}.",
                "On {day} {a}, {b} and {c} will {activity}. They are meeting at {place} at {time}.",
            ),
        ),
    ),
)

SALE = Scene(
    opening=(
        "a: I'm selling my {item}. Are you interested? | b: How much do you want? | a: {price2}.",
        "b: I saw that you want to sell your {item}. What does it cost? | a: {price2}.",
        "b: Is the {item} still for sale? | a: Yes, it is. For {price2}.",
        "a: Do you know anyone who needs a {item}? | b: I do! How much is it? | a: I thought of {price2}.",
    ),
    courses=(
        Course(
            (
                (
                    "b: That is a lot. Would you take {price}? | a: {yes}, {price} is all right.",
                    "b: I can only pay {price}. | a: As it's you: {yes}.",
                    "b: Hm. {price} and I take it. | a: It's a deal.",
                ),
                (
                    "a: When will you get it? | b: On {day}.",
                    "b: I'll come for it on {day}. | a: Not on {day2}? | b: {no}. | a: {good}.",
                    "b: May I fetch it on {day2}? | a: I'm not at home then. {day}? | b: {yes}.",
                ),
            ),
            (
                "{b} will buy the {item} from {a} for {price} and pick it up on {day}.",
                "{a} is selling the {item} to {b} for {price}. {b} will pick it up on {day}.",
            ),
        ),
        Course(
            (
                (
                    "b: Would you take {price}? | a: {no}, it is almost new. | b: Then I have to think about it.",
                    "b: I can only pay {price}. | a: {no}, that's too little. | b: A pity. Then not.",
                    "b: {price} is all I have. | a: {no}. {price2}, not less. | b: Then I can't take it.",
                ),
            ),
            (
                "{b} offered {price} for the {item}, but {a} wants {price2}.",
                "{a} wants {price2} for the {item}. {b} would only pay {price}, so they did not agree.",
            ),
        ),
        Course(
            (
                (
                    "b: {good}, I'll take it. | a: {but} I forgot: {c} came first and wanted it, too. | b: What a pity!",
                    "b: I would like to have it. | a: {but} {c} has just written to me, and gets it. | b: Too late then.",
                    "c: I'll take it at once! | b: And I wanted it so much. | a: {sorry}, {b}. {c} was faster.",
                ),
            ),
            (
                "{b} wanted the {item} for {price2}, but {a} is selling it to {c}.",
                "{a} is selling the {item} to {c} for {price2}, so {b} can't have it.",
            ),
        ),
    ),
)

TRAIN = Scene(
    opening=(
        "a: My train from {city} is late. | b: Oh no! How much? | a: {minutes2} minutes.",
        "a: I'm in the train from {city}, and we are not moving. | b: For how long? | a: {minutes2} minutes, they say.",
        "b: Are you on your way? | a: Yes, but the train from {city} has a delay of {minutes2} minutes.",
        "b: When will you be here? | a: No idea. The train from {city} is {minutes2} minutes late.",
    ),
    courses=(
        Course(
            (
                (
                    "a: Now they say {minutes} minutes. | b: Annoying.",
                    "a: It's getting worse: {minutes} minutes now. | b: Oh dear.",
                ),
                (
                    "b: I'll wait for you at {place}. | a: {thanks}!",
                    "a: Will you wait for me? | b: {yes}, at {place}.",
                    "b: Then I'll wait at {place2}. | a: It's cold there. Rather at {place}. | b: {good}.",
                ),
            ),
            (
                "The train from {city} is {minutes} minutes late. {b} will wait for {a} at {place}.",
                "{a} will be {minutes} minutes late, coming from {city} by train. {b} is waiting at {place}.",
            ),
        ),
        Course(
            (
                (
                    "b: Shall I pick you up by car? | a: {yes}, please! | b: I'll be at {place} at {time}.",
                    "a: Can you fetch me by car? | b: {yes}. At {time}, at {place}? | a: {good}.",
                    "a: There is no bus so late. | b: Then I'll come by car. {time} at {place}. | a: {thanks}!",
                    "b: I'll come by car. At {place}, at {time}. | a: Not {time2}? | b: No, that is too late for me.",
                ),
            ),
            (
                "The train from {city} is late. {b} will pick {a} up by car at {place} at {time}.",
                "{b} will pick {a} up at {time} at {place} by car, as the train from {city} is late.",
            ),
        ),
        Course(
            (
                (
                    "b: Shall we start without you? | a: Yes, do that.",
                    "b: We can't wait that long. {c} is hungry. | a: Just start without me.",
                    "a: You should begin without me. | b: {yes}, we will.",
                ),
                (
                    "a: I'll take a taxi and be there at {time}. | b: {good}.",
                    "b: When are you here? | a: At {time2}. No, with a taxi at {time}. | b: {good}.",
                ),
            ),
            (
                "The train from {city} is late. {b} will start without {a}, who will come by taxi at {time}.",
                "{a} will come by taxi at {time}, as the train from {city} is late. {b} will start without {a}.",
            ),
        ),
    ),
)

HOMEWORK = Scene(
    opening=(
        "a: Can you help me with the {subject} homework? | b: Which one? | a: Exercise {number}.",
        "a: I don't understand exercise {number} in {subject}. | b: It is a hard one.",
        "a: Have you done the {subject} homework? | b: Yes, why? | a: I'm stuck at exercise {number}.",
        "b: How is your {subject} homework? | a: Terrible. I can't do exercise {number}.",
    ),
    courses=(
        Course(
            (
                (
                    "a: Could you explain it to me on {day2}? | b: On {day2} I {why}. But {day} is fine. | a: {good}.",
                    "b: I can explain it on {day2}. | a: I'm away then. {day}? | b: {yes}.",
                    "b: I'll explain it to you on {day}. | a: {thanks}!",
                ),
                (
                    "b: Come to {place} at {time}. | a: {yes}, I'll be there.",
                    "b: At {place}, at {time}. | a: I thought at {time2}? | b: No, I won't have time any more. | a: {good}.",
                    "a: At {place}? | b: {yes}, at {time}.",
                ),
            ),
            (
                "{b} will help {a} with exercise {number} in {subject} on {day} at {time} at {place}.",
                "{a} is stuck at exercise {number} in {subject}. {b} will help at {place} on {day} at {time}.",
            ),
        ),
        Course(
            (
                (
                    "a: Can you help me? | b: {sorry}, I {why}. | a: What shall I do?",
                    "a: Do you have time for me? | b: {no}. I {why}.",
                ),
                (
                    "b: Ask {c}. | a: Good idea! | b: {c} is free on {day}.",
                    "c: I can help you, {a}. On {day}? | a: {thanks}, {c}!",
                    "a: Then I'll ask {c}. | b: Yes. {c} has time on {day}.",
                ),
            ),
            (
                "{b} can't help {a} with exercise {number} in {subject}. {c} has time on {day}.",
                "{a} needs help with exercise {number} in {subject}. {b} {why}, but {c} is free on {day}.",
            ),
        ),
        Course(
            (
                (
                    "b: You know that it's not for tomorrow? | a: Isn't it? | b: No, it is due on {day}.",
                    "b: We got more time for it. | a: Until {day2}? | b: No, until {day}.",
                    "b: Don't worry, it is due on {day}. | a: Not on {day2}? | b: No.",
                ),
                ("a: Then I'll try again myself. | b: {good}.", "a: What a relief! I'll try it on my own first."),
            ),
            (
                "{a} is stuck at exercise {number} in {subject}, but it is due on {day}, so {a} will try again.",
                "Exercise {number} in {subject} is due on {day}, so {a} will try it again alone.",
            ),
        ),
    ),
)

BIRTHDAY = Scene(
    opening=(
        "a: It's {c}'s birthday on {day}. | b: Right! What shall we give?",
        "a: Do you have a present for {c} yet? | b: No. When is the birthday? | a: On {day}.",
        "b: {c} has a birthday on {day}. Do you have an idea? | a: Let me think.",
        "b: What does {c} want for the birthday on {day}? | a: I don't know.",
    ),
    courses=(
        Course(
            (
                (
                    "a: How about {gift2}? | b: {c} has that already. Rather {gift}. | a: {good}.",
                    "b: Maybe {gift2}? | a: Too boring. I would say {gift}. | b: Yes, better.",
                    "a: What do you think of {gift}? | b: {good}.",
                    "b: {gift2}? | a: That was last year's present. | b: Then {gift}! | a: {good}.",
                ),
                (
                    "a: Will you buy it? | b: I will, and you owe me {price}. | a: {good}.",
                    "b: I'll get it in town. | a: {thanks}! What is my share? | b: {price}.",
                    "b: I can buy it. | a: {yes}. How much do I give you? | b: {price}.",
                ),
            ),
            (
                "{a} and {b} will give {c} {gift} for the birthday on {day}. {b} will buy it, and {a} pays {price}.",
                "{b} will buy {gift} for {c}'s birthday on {day}. {a} will pay {price} of it.",
            ),
        ),
        Course(
            (
                (
                    "a: I bought {gift} already. | b: Alone? | a: Yes. Do you want to share? | b: {yes}.",
                    "a: I have got {gift}. We can give it together. | b: {good}!",
                ),
                (
                    "b: How much do I pay? | a: {price}.",
                    "b: What do I owe you? | a: {price2}. No, {price}, it was reduced. | b: {thanks}.",
                ),
            ),
            (
                "{a} has bought {gift} for {c}'s birthday on {day}. {b} will pay {price} of it.",
                "{a} bought {gift} for {c}, whose birthday is on {day}. {b} pays {price}.",
            ),
        ),
        Course(
            (
                (
                    "a: A surprise party would be better than a present. | b: {yes}! Where?",
                    "b: Let's make a surprise party! | a: {good}. But where?",
                ),
                (
                    "a: At your place? | b: {no}, but {d} has a garden. | a: {good}, so at {d}'s. At {time}?",
                    "b: I'll ask {d}. | d: We can do it here, at {time}. | a: {thanks}, {d}!",
                ),
                ("b: {yes}, and not a word to {c}! | a: Promised.", "b: {c} must not know. | a: {yes}."),
            ),
            (
                "{a} and {b} plan a surprise party for {c} at {d}'s on {day} at {time}.",
                "There will be a surprise party for {c} on {day} at {time} at {d}'s, planned by {a} and {b}.",
            ),
        ),
    ),
)
