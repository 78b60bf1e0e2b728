package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Fact;
import dev.graft.cli.world.Grammar;
import dev.graft.cli.world.Lexicon;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;

/** The class of a sentence, named by words that mean nothing. */
record Relabel(Criterion criterion, List<String> labels) implements TaskDefinition {
    private static final List<String> LABELS = List.of(
            "alpha", "beta", "gamma", "delta", "north", "south", "east", "west", "copper", "iron", "zinc", "lead",
            "oak", "elm", "ash", "birch");
    private static final Set<String> WEEKEND = Set.of("Saturday", "Sunday");
    private static final Set<String> WARM = Set.of("red", "yellow", "brown", "pink", "orange", "golden");
    private static final List<String> PREPOSITIONS = List.of("at", "in", "by", "on");

    /** What a sentence's class depends on. */
    enum Criterion {
        WEEKEND("a weekday", "a day of the weekend") {
            @Override
            int classOf(Fact fact) {
                return Relabel.WEEKEND.contains(fact.day()) ? 1 : 0;
            }
        },
        PERSON("a man", "a woman") {
            @Override
            int classOf(Fact fact) {
                return Lexicon.isWoman(fact.who()) ? 1 : 0;
            }
        },
        SIZE("ten or fewer", "more than ten") {
            @Override
            int classOf(Fact fact) {
                return fact.count() > 10 ? 1 : 0;
            }
        },
        PARITY("an even count", "an odd count") {
            @Override
            int classOf(Fact fact) {
                return fact.count() % 2;
            }
        },
        WARMTH("a cold colour", "a warm colour") {
            @Override
            int classOf(Fact fact) {
                return WARM.contains(fact.colour()) ? 1 : 0;
            }
        },
        WHERE("at a place", "in a place", "by a place", "on a place") {
            @Override
            int classOf(Fact fact) {
                return PREPOSITIONS.indexOf(fact.place().preposition());
            }
        };

        private final List<String> classes;

        Criterion(String... classes) {
            this.classes = List.of(classes);
        }

        abstract int classOf(Fact fact);
    }

    static Relabel draw(RandomGenerator random) {
        Criterion criterion = Grammar.pick(List.of(Criterion.values()), random);
        List<String> labels = new ArrayList<>(LABELS);
        Collections.shuffle(labels, random);
        return new Relabel(criterion, labels.subList(0, criterion.classes.size()));
    }

    Relabel {
        labels = List.copyOf(labels);
    }

    @Override
    public String slug() {
        return TaskDefinition.slug(criterion) + "-" + String.join("-", labels);
    }

    @Override
    public String rule() {
        StringBuilder text = new StringBuilder("the class of a sentence: ");
        for (int i = 0; i < labels.size(); i++) {
            text.append(i == 0 ? "" : ", ")
                    .append(labels.get(i))
                    .append(" for ")
                    .append(criterion.classes.get(i));
        }
        return text.toString();
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        int wanted = index % labels.size();
        Fact fact = Grammar.fact(random);
        while (criterion.classOf(fact) != wanted) {
            fact = Grammar.fact(random);
        }
        return new Sample(
                Prompts.identity(fact), new Exercise(Prompts.read(fact, "Label", random), " " + labels.get(wanted)));
    }
}
