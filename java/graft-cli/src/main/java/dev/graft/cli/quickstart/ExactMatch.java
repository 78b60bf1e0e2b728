package dev.graft.cli.quickstart;

import dev.graft.cli.world.QuickstartTask;
import dev.graft.data.Tokenizer;
import dev.graft.model.Generator;
import dev.graft.model.LanguageModel;
import dev.graft.model.Sampling;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * How many held-out questions a model answers exactly, greedily.
 *
 * @param answers what the model said to each example
 * @param correct how many were right
 */
record ExactMatch(List<String> answers, int correct) {
    /** The longest right answer has about 30 tokens; what is longer is wrong. */
    private static final int MAX_ANSWER_TOKENS = 48;

    private static final int MAX_PROMPT_TOKENS = 160;

    static ExactMatch of(LanguageModel model, Tokenizer tokenizer, List<QuickstartTask.Example> examples) {
        Set<Integer> endTokens = Arrays.stream(tokenizer.eosIds()).boxed().collect(Collectors.toSet());
        List<String> answers = new ArrayList<>(examples.size());
        int correct = 0;
        try (Generator generator = new Generator(model, MAX_PROMPT_TOKENS + MAX_ANSWER_TOKENS)) {
            for (QuickstartTask.Example example : examples) {
                List<Integer> ids = new ArrayList<>();
                generator.generate(
                        tokenizer.encode(example.prompt(), true),
                        MAX_ANSWER_TOKENS,
                        Sampling.GREEDY,
                        endTokens,
                        ids::add);
                String answer = tokenizer.decode(
                        ids.stream().mapToInt(Integer::intValue).toArray(), true);
                answers.add(answer);
                correct += example.isAnsweredBy(answer) ? 1 : 0;
            }
        }
        return new ExactMatch(answers, correct);
    }

    double percent() {
        return 100.0 * correct / answers.size();
    }

    /** In how many answers two models agree. */
    int agreement(ExactMatch other) {
        int same = 0;
        for (int i = 0; i < answers.size(); i++) {
            same += answers.get(i).equals(other.answers.get(i)) ? 1 : 0;
        }
        return same;
    }
}
