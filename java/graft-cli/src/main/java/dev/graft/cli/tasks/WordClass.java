package dev.graft.cli.tasks;

import dev.graft.cli.world.Grammar;
import dev.graft.cli.world.Lexicon;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

/** A class of the world's words; no word is in two. Places, which the base model confuses, are none. */
enum WordClass {
    NAME(Lexicon.names()),
    THING(Lexicon.THINGS),
    COLOUR(Lexicon.COLOURS),
    DAY(Lexicon.DAYS);

    private static final List<WordClass> ALL = List.of(values());

    private final List<String> words;
    private final Set<String> set;

    WordClass(List<String> words) {
        this.words = words;
        this.set = Set.copyOf(words);
    }

    List<String> words() {
        return words;
    }

    boolean contains(String word) {
        return set.contains(word);
    }

    /** Words of any class, all different. */
    static List<String> drawAny(int count, RandomGenerator random) {
        return distinct(count, () -> Grammar.pick(ALL, random).drawOne(random));
    }

    /** Words of this class, all different. */
    List<String> draw(int count, RandomGenerator random) {
        return distinct(count, () -> drawOne(random));
    }

    /** Words of this class among words of the other classes, {@code length} of them, in a random order. */
    List<String> mixed(List<String> words, int length, RandomGenerator random) {
        List<WordClass> others = ALL.stream().filter(other -> other != this).toList();
        List<String> mixed = new ArrayList<>(words);
        mixed.addAll(distinct(
                length - words.size(), () -> Grammar.pick(others, random).drawOne(random)));
        Collections.shuffle(mixed, random);
        return mixed;
    }

    private String drawOne(RandomGenerator random) {
        return Grammar.pick(words, random);
    }

    private static List<String> distinct(int count, Supplier<String> source) {
        Set<String> words = new LinkedHashSet<>();
        while (words.size() < count) {
            words.add(source.get());
        }
        return List.copyOf(words);
    }
}
