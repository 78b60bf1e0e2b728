package dev.graft.cli.world;

import dev.graft.cli.world.Grammar.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;

/**
 * What the quickstart teaches: read a sentence, answer with its facts as one JSON object. The base model has learned to
 * find facts but has never seen JSON. The training examples know {@link #TRAIN_NAMES} people and
 * {@link #TRAIN_THINGS} kinds of things; of the held-out examples every one is a new fact, half are about people and
 * half about things that no training example mentions.
 */
public final class QuickstartTask {
    public static final int TRAIN_SIZE = 64;
    public static final int HELD_OUT_SIZE = 200;

    private static final int TRAIN_NAMES = 60;
    private static final int TRAIN_THINGS = 40;
    private static final long SEED = 20_240_601;

    private QuickstartTask() {}

    /** The examples to train on. */
    public static List<Exercise> train() {
        RandomGenerator random = new SplittableRandom(SEED);
        Familiar familiar = Familiar.draw();
        return Stream.generate(() -> Grammar.fact(random))
                .filter(fact -> familiar.names().contains(fact.who())
                        && familiar.things().contains(fact.things()))
                .limit(TRAIN_SIZE)
                .map(fact -> example(fact, random))
                .toList();
    }

    /** The examples to be judged by, none of which can be answered from memory of {@link #train()}. */
    public static List<Exercise> heldOut() {
        RandomGenerator random = new SplittableRandom(SEED + 1);
        Familiar familiar = Familiar.draw();
        Set<String> seen = new HashSet<>();
        train().forEach(example -> seen.add(example.completion()));
        return Stream.iterate(0, i -> i + 1)
                .limit(HELD_OUT_SIZE)
                .map(i -> {
                    Fact fact = drawUntil(
                            candidate -> familiar.names().contains(candidate.who()) == (i % 2 == 0)
                                    && familiar.things().contains(candidate.things()) == (i % 4 < 2)
                                    && seen.add(completion(candidate)),
                            random);
                    return example(fact, random);
                })
                .toList();
    }

    private static Fact drawUntil(Predicate<Fact> wanted, RandomGenerator random) {
        Fact fact = Grammar.fact(random);
        while (!wanted.test(fact)) {
            fact = Grammar.fact(random);
        }
        return fact;
    }

    private static Exercise example(Fact fact, RandomGenerator random) {
        Statement said = Corpus.withFiller(Grammar.stateAll(fact, random), random);
        return new Exercise("Read: " + said.text() + "\nJSON:", completion(fact));
    }

    private static String completion(Fact fact) {
        return " {\"who\": \"%s\", \"count\": %d, \"item\": \"%s %s\", \"day\": \"%s\"}"
                .formatted(fact.who(), fact.count(), fact.colour(), fact.things(), fact.day());
    }

    /** The people and things that training examples may mention. */
    private record Familiar(Set<String> names, Set<String> things) {
        static Familiar draw() {
            RandomGenerator random = new SplittableRandom(SEED - 1);
            return new Familiar(some(Lexicon.names(), TRAIN_NAMES, random), some(Lexicon.THINGS, TRAIN_THINGS, random));
        }

        private static Set<String> some(List<String> all, int size, RandomGenerator random) {
            List<String> shuffled = new ArrayList<>(all);
            for (int i = shuffled.size() - 1; i > 0; i--) {
                Collections.swap(shuffled, i, random.nextInt(i + 1));
            }
            return Set.copyOf(shuffled.subList(0, size));
        }
    }
}
