"""More scenes of the dialogue corpus: devices, lifts, meals, lost things, appointments, pets, tickets, parties."""

from __future__ import annotations

from compress.data.corpora.dialogues.scenes import BIRTHDAY, HOMEWORK, MEETING, SALE, TRAIN, Course, Scene

DEVICE = Scene(
    opening=(
        "a: My {device} {fault}. | b: Since when? | a: Since yesterday.",
        "a: Do you know anything about a {device}? | b: A little. Why? | a: Mine {fault}.",
        "a: Something is wrong: my {device} {fault}. | b: Oh no!",
        "b: Why are you so angry? | a: My {device} {fault}!",
    ),
    courses=(
        Course(
            (
                (
                    "b: Have you tried to unplug it? | a: Yes. It didn't help.",
                    "b: Did you clean it? | a: Twice. Nothing changed.",
                    "b: Did you read the manual? | a: Yes, all of it. No help.",
                ),
                (
                    "b: I know a repair shop at {place}. | a: {good}, I'll take it there on {day}.",
                    "b: Then bring it to the repair shop near {place}. | a: {yes}, on {day}.",
                    "a: I think I need a repair shop. | b: There is one at {place}. | a: Then I'll go there on {day}.",
                ),
            ),
            (
                "{a}'s {device} {fault}. {a} will take it to a repair shop at {place} on {day}.",
                "{a} will take the {device} to the repair shop at {place} on {day}, as it {fault}.",
            ),
        ),
        Course(
            (
                (
                    "b: Unplug it for {minutes} minutes. | a: Let me try. | a: It works again!",
                    "b: Let it rest for {minutes} minutes, then try again. | a: I did. You won't believe it: it works!",
                    "b: Unplug it for {minutes2} minutes. | a: No change. | b: Then {minutes} minutes. | a: Now it works!",
                ),
            ),
            (
                "{a}'s {device} {fault}. It works again after {minutes} minutes without power, as {b} advised.",
                "{b} told {a} to unplug the {device} for {minutes} minutes, as it {fault}. Now it works.",
            ),
        ),
        Course(
            (
                (
                    "a: A repair would cost {price}. | b: Then it's not worth it.",
                    "b: Can it be repaired? | a: For {price}! | b: That's too much.",
                ),
                (
                    "c: I have an old one that I don't need. | a: Really? | c: You can have it on {day}. | a: {thanks}, {c}!",
                    "b: {c} has a spare one. | a: {good}! | c: Yes, come and get it on {day}.",
                ),
            ),
            (
                "{a}'s {device} {fault}, and a repair costs {price}. {a} will get {c}'s old one on {day}.",
                "{c} will give {a} an old {device} on {day}, since {a}'s {fault} and a repair costs {price}.",
            ),
        ),
    ),
)

LIFT = Scene(
    opening=(
        "a: Can you give me a lift to {place} on {day}? | b: At what time?",
        "a: Are you driving past {place} on {day}? | b: I could. When do you have to be there?",
        "a: I need to get to {place} on {day}. Could you drive me? | b: When?",
        "a: There are no buses on {day}. Can you take me to {place}? | b: At what time?",
    ),
    courses=(
        Course(
            (
                (
                    "a: At {time}. | b: {yes}, I'll drive you.",
                    "a: {time2}. | b: I {why}. Is {time} all right, too? | a: {yes}. {thanks}!",
                    "a: At {time2}, or no: {time}. | b: {yes}, no problem.",
                    "a: At {time}. | b: The last time it was {time2}. | a: Not this time. | b: {good}.",
                ),
            ),
            (
                "{b} will give {a} a lift to {place} on {day} at {time}.",
                "{b} will drive {a} to {place} at {time} on {day}.",
            ),
        ),
        Course(
            (
                (
                    "a: At {time}. | b: {sorry}, I {why}.",
                    "a: Around {time}. | b: {no}, I {why}.",
                ),
                (
                    "c: I can do it, {a}. | a: {thanks}, {c}! At {time}? | c: {yes}.",
                    "b: But {c} has a car. | c: I do. I'll take you, {a}. {time}, right? | a: Right.",
                ),
            ),
            (
                "{b} {why}, so {c} will give {a} a lift to {place} on {day} at {time}.",
                "{c} will drive {a} to {place} on {day} at {time}, because {b} {why}.",
            ),
        ),
        Course(
            (
                ("a: At {time}. | b: My car is being repaired.", "a: {time}. | b: {sorry}, I sold my car."),
                (
                    "a: Oh. Then I'll have to take a taxi. | b: {sorry}!",
                    "b: Can you go by taxi? | a: I'll have to. {thanks} anyway.",
                ),
            ),
            (
                "{b} has no car, so {a} will take a taxi to {place} on {day} at {time}.",
                "{a} will go to {place} by taxi on {day} at {time}, as {b} has no car.",
            ),
        ),
    ),
)

DINNER = Scene(
    opening=(
        "a: Do you want to come for dinner on {day}? | b: {yes}! What will there be? | a: I thought of {dish2}.",
        "a: I'm cooking on {day}. You are invited! | b: {thanks}! What do you cook? | a: {dish2}.",
        "b: Is your invitation for {day} still on? | a: Of course. I'm making {dish2}.",
    ),
    courses=(
        Course(
            (
                (
                    "b: {sorry}, I don't eat that. | a: Would you like {dish}? | b: Oh yes, very much.",
                    "b: {c} can't eat that. | a: Right! Then I'll make {dish}. | b: {good}.",
                    "a: {but} my oven is broken. It will be {dish}. | b: Also fine!",
                ),
                (
                    "b: Shall I bring something? | a: {food}, please.",
                    "b: I'll bring {food2}. | a: We have some. Rather {food}! | b: {good}.",
                    "a: Can you bring {food}? | b: {yes}.",
                ),
                (
                    "b: When? | a: At {time}.",
                    "a: Be here at {time}. | b: I will.",
                    "b: At {time2}? | a: Not so early. At {time}. | b: {good}.",
                ),
            ),
            (
                "{a} will make {dish} for dinner on {day} at {time}. {b} will bring {food}.",
                "{b} is coming to {a}'s for {dish} on {day} at {time} and will bring {food}.",
            ),
        ),
        Course(
            (
                (
                    "b: {but} {day}? Then I {why}. | a: Oh, what a pity.",
                    "b: {but} I just see that I {why} on {day}. | a: Oh no.",
                ),
                (
                    "b: Can we do it on {day2}? | a: {yes}, {dish2} on {day2} then.",
                    "a: Would {day2} be better? | b: {yes}, {day2} is fine.",
                ),
            ),
            (
                "{b} {why}, so {a} will make {dish2} for dinner on {day2} instead of {day}.",
                "{a} and {b} moved the dinner with {dish2} from {day} to {day2}, as {b} {why}.",
            ),
        ),
    ),
)

LOST = Scene(
    opening=(
        "a: I can't find my {thing}. Did I leave it at your place? | b: Your {thing}? I'll have a look.",
        "a: Have you seen my {thing}? | b: Where did you have it last? | a: At your place, I think.",
        "b: You look worried. | a: My {thing}! I had it with me at your place.",
        "a: My {thing} is gone! | b: Weren't you at my place with it? I'll look.",
    ),
    courses=(
        Course(
            (
                (
                    "b: Not {spot2}. | a: And {spot}? | b: Yes, there!",
                    "a: Maybe {spot2}? | b: No. But {spot}! Found.",
                    "b: Found! It was {spot}. | a: {thanks}!",
                ),
                (
                    "b: I'll bring it to you on {day}. | a: {thanks}!",
                    "a: Can you bring it to me on {day2}? | b: Rather on {day}. | a: {good}.",
                ),
            ),
            (
                "{b} found {a}'s {thing} {spot} and will bring it on {day}.",
                "{a}'s {thing} was {spot} at {b}'s place. {b} will bring it on {day}.",
            ),
        ),
        Course(
            (
                (
                    "b: It's not {spot}, and nowhere else. | a: Oh no.",
                    "b: I looked everywhere, even {spot}. Nothing.",
                ),
                (
                    "c: {a}, I have it! You left it at {place}. | a: {thanks}, {c}!",
                    "b: Ask {c}. You were together at {place}. | c: I have it, {a}. It was at {place}. | a: What luck!",
                ),
            ),
            (
                "{a} lost the {thing}. {b} can't find it, but {c} has it: it was at {place}.",
                "{a}'s {thing} is not at {b}'s place. {c} found it at {place}.",
            ),
        ),
    ),
)

APPOINTMENT = Scene(
    opening=(
        "b: Dr {b}'s office, good morning. | a: Good morning, my name is {a}. I have an appointment on {day2} at {time2}.",
        "a: This is {a}. I have an appointment with you on {day2} at {time2}. | b: Let me look. Yes, at {time2}.",
        "a: Hello, {a} here. It's about my appointment on {day2} at {time2}. | b: How can I help you?",
    ),
    courses=(
        Course(
            (
                (
                    "a: I can't come then, because I {why}. | b: I see. Would {day} suit you?",
                    "a: I {why}. Is there another day? | b: On {day}, yes.",
                ),
                (
                    "a: Yes, when? | b: At {time}. | a: {good}.",
                    "b: I have {time3} and {time}. | a: {time}, please. | b: I wrote it down.",
                    "b: At {time3}? | a: Do you have another one? | b: Only {time}. | a: {thanks}!",
                ),
            ),
            (
                "{a} {why}. {b} moved the appointment from {day2} to {day} at {time}.",
                "{b} moved {a}'s appointment from {day2} to {day} at {time}, because {a} {why}.",
            ),
        ),
        Course(
            (
                (
                    "a: I'm well again and do not need it any more. | b: So you want to cancel it? | a: Yes.",
                    "a: I would like to cancel it. | b: No new one? | a: No, {thanks}, I am well again.",
                ),
            ),
            (
                "{a} is well again and cancelled the appointment with {b} on {day2} at {time2}.",
                "{a} cancelled the appointment on {day2} at {time2} with {b}, being well again.",
            ),
        ),
    ),
    is_private=False,
)

PET = Scene(
    opening=(
        "a: I {away} from {day} to {day2}. Could you look after my {pet}? | b: Let me check.",
        "a: Who could feed my {pet} from {day} to {day2}? I {away}. | b: Hm, let me see.",
        "a: I {away}, and I need someone for the {pet}. | b: From when to when? | a: From {day} to {day2}.",
    ),
    courses=(
        Course(
            (
                ("b: {yes}, I can do it. | a: {thanks}!", "b: I'd love to! | a: You're saving me."),
                (
                    "b: How do I get the keys? | a: I'll leave them at {place}.",
                    "a: Can you get the keys at {place2}? | b: That's far. At {place}? | a: {yes}.",
                    "a: The keys will be at {place}. | b: {good}.",
                ),
            ),
            (
                "{a} {away}. {b} will look after the {pet} from {day} to {day2} and get the keys at {place}.",
                "{b} will look after {a}'s {pet} from {day} to {day2}. The keys will be at {place}.",
            ),
        ),
        Course(
            (
                (
                    "b: {sorry}, I {why}. | a: What a pity.",
                    "b: {no}. I {why}. | a: Oh.",
                ),
                (
                    "c: I can take the {pet}, {a}! | a: Really, {c}? {thanks}!",
                    "b: But {c} loves animals. | c: I'll do it! | a: {thanks}, {c}.",
                ),
            ),
            (
                "{c} will look after {a}'s {pet} from {day} to {day2}, because {b} {why}.",
                "{b} {why}, so {c} will look after {a}'s {pet} from {day} to {day2}.",
            ),
        ),
    ),
)

TICKET = Scene(
    opening=(
        "a: I have a spare ticket for {event} on {day}. Do you want it? | b: What does it cost?",
        "a: Do you want to come to {event} on {day}? I have two tickets. | b: How much is it?",
        "a: {c} can't come to {event} on {day}, so I have a ticket left. | b: How much?",
    ),
    courses=(
        Course(
            (
                (
                    "a: It was {price2}, but for you {price}. | b: {good}!",
                    "a: {price2}. | b: Hm. {price}? | a: {yes}, {price}.",
                    "a: Only {price}. | b: I'll take it!",
                ),
                (
                    "b: When does it start? | a: At {time}.",
                    "b: At {time2}? | a: No, it starts at {time}. | b: {good}.",
                    "a: It starts at {time}. | b: I had read {time2}. | a: They changed it. | b: {good}.",
                ),
            ),
            (
                "{b} will buy {a}'s ticket for {event} on {day} for {price}. It starts at {time}.",
                "{a} and {b} will go to {event} on {day} at {time}. {b} pays {price} for the ticket.",
            ),
        ),
        Course(
            (
                (
                    "a: {price}. | b: {day}, you said? Then I {why}. {sorry}.",
                    "a: Nothing! | b: I would come, but I {why}. | a: It would cost others {price}!",
                ),
                (
                    "d: I would take it for {price}! | a: It's yours, {d}.",
                    "b: {d} wanted to go. | d: Yes! I'll pay the {price}. | a: {good}.",
                ),
            ),
            (
                "{b} {why}, so {d} will buy {a}'s ticket for {event} on {day} for {price}.",
                "{d} will take {a}'s ticket for {event} on {day} for {price}, because {b} {why}.",
            ),
        ),
    ),
)

PARTY = Scene(
    opening=(
        "a: I'm giving a party on {day}. | b: Lovely! What shall we bring?",
        "a: Who is coming to my party on {day}? | b: Me! What do you need?",
        "b: What can we bring to your party on {day}? | a: That's kind of you.",
    ),
    courses=(
        Course(
            (
                (
                    "a: {b}, could you bring {food}? | b: {yes}.",
                    "b: I could make {food3}. | a: There is enough. {food}? | b: {yes}.",
                    "b: I'll bring {food}. | a: {good}!",
                ),
                (
                    "c: And I'll bring {food2}. | a: {thanks}, {c}!",
                    "c: What about me? | a: {food2}, please, {c}. | c: {good}.",
                    "c: Then I'll take care of {food2}. | a: {yes}, please.",
                ),
                (
                    "b: When does it start? | a: At {time}.",
                    "a: It starts at {time}. | c: {good}.",
                    "a: It starts at {time}. | c: Then I'll leave work at {time2}.",
                ),
            ),
            (
                "{a}'s party is on {day} at {time}. {b} will bring {food} and {c} will bring {food2}.",
                "{b} will bring {food} and {c} {food2} to {a}'s party on {day} at {time}.",
            ),
        ),
        Course(
            (
                (
                    "c: I can't come, I {why}. | a: What a pity, {c}!",
                    "c: {sorry}, {a}, I {why}. | a: Oh no, {c}.",
                ),
                (
                    "a: {b}, will you bring {food}? | b: {yes}. | d: And I'll bring {food2}.",
                    "b: I'll bring {food}. | d: Then {food2} for me. | a: {good}.",
                ),
            ),
            (
                "{b} will bring {food} and {d} {food2} to {a}'s party on {day}. {c} can't come.",
                "{c} can't come to {a}'s party on {day}. {b} will bring {food}, and {d} will bring {food2}.",
            ),
        ),
    ),
)

SCENES = {
    "meeting": MEETING,
    "sale": SALE,
    "train": TRAIN,
    "homework": HOMEWORK,
    "birthday": BIRTHDAY,
    "device": DEVICE,
    "lift": LIFT,
    "dinner": DINNER,
    "lost": LOST,
    "appointment": APPOINTMENT,
    "pet": PET,
    "ticket": TICKET,
    "party": PARTY,
}
"""All scenes, by what they are about."""
