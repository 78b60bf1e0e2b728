package dev.graft.cli.compare;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Units;
import dev.graft.io.Json;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Something that is said of LoRA, beside what was measured.
 *
 * @param figure the measurement
 * @param holds whether the measurement agrees
 */
public record Claim(String text, String figure, boolean holds) {
    private static final double SMALL_SHARE = 0.05;
    private static final double POINTS = 2;
    private static final double LATENCY = 1.02;

    ObjectNode json() {
        return Json.mapper()
                .createObjectNode()
                .put("claim", text)
                .put("figure", figure)
                .put("holds", holds);
    }

    /** What the rows of a comparison say; a claim whose rows are missing is left out. */
    static List<Claim> of(List<CompareRow> rows) {
        List<Claim> claims = new ArrayList<>();
        int most = rows.stream().mapToInt(CompareRow::shots).max().orElse(0);
        List<CompareRow> best =
                rows.stream().filter(row -> row.shots() == most && most > 0).toList();
        Optional<CompareRow> full = method(best, "full");
        Optional<CompareRow> lora = best.stream()
                .filter(row -> row.method().equals("lora") && row.trainableShare() <= SMALL_SHARE)
                .max(Comparator.comparingDouble(row -> goodness(row)));
        lora.ifPresent(small -> {
            full.ifPresent(whole -> {
                claims.add(accuracy(small, whole));
                claims.add(size(small, whole));
                forgetting(small, whole).ifPresent(claims::add);
            });
        });
        best.stream()
                .filter(row -> row.method().equals("lora"))
                .max(Comparator.comparingDouble(row -> Optional.ofNullable(
                                row.tokenMs().mergedRatio())
                        .orElse(0.0)))
                .ifPresent(row -> merged(row).ifPresent(claims::add));
        method(best, "adapter").ifPresent(row -> claims.add(new Claim(
                "adapter modules make a token slower",
                "x " + Units.fixed(row.tokenMs().separateRatio(), 3) + " of the base's time",
                row.tokenMs().separateRatio() > 1)));
        ranks(best).ifPresent(claims::add);
        return claims;
    }

    private static Optional<CompareRow> method(List<CompareRow> rows, String method) {
        return rows.stream().filter(row -> row.method().equals(method)).findFirst();
    }

    /** More is better: the score, or without scores the loss. */
    private static double goodness(CompareRow row) {
        return Double.isFinite(row.score().mean()) ? row.score().mean() : -row.loss().mean();
    }

    private static Claim accuracy(CompareRow lora, CompareRow full) {
        String text = "LoRA with at most 5 % of the numbers learns as well as full fine-tuning";
        if (Double.isFinite(lora.score().mean())) {
            return new Claim(
                    text,
                    Units.fixed(lora.score().mean(), 1) + " % right against "
                            + Units.fixed(full.score().mean(), 1) + " %, with "
                            + Units.fixed(100 * lora.trainableShare(), 1) + " % of the numbers (" + lora.label() + ")",
                    lora.score().mean() >= full.score().mean() - POINTS);
        }
        return new Claim(
                text,
                "held-out loss " + Units.fixed(lora.loss().mean(), 3) + " against "
                        + Units.fixed(full.loss().mean(), 3) + ", with "
                        + Units.fixed(100 * lora.trainableShare(), 1) + " % of the numbers (" + lora.label() + ")",
                lora.loss().mean() <= 1.02 * full.loss().mean());
    }

    private static Claim size(CompareRow lora, CompareRow full) {
        return new Claim(
                "a task takes a small file instead of a copy of the model",
                Units.bytes(lora.bytesPerTask()) + " against " + Units.bytes(full.bytesPerTask()),
                lora.bytesPerTask() < full.bytesPerTask());
    }

    private static Optional<Claim> forgetting(CompareRow lora, CompareRow full) {
        if (!Double.isFinite(full.forgetting().mean())) {
            return Optional.empty();
        }
        return Optional.of(new Claim(
                "full fine-tuning on few examples forgets more",
                "perplexity on the base's own text x " + Units.fixed(full.forgetting().mean(), 2) + ", with "
                        + lora.label() + " x " + Units.fixed(lora.forgetting().mean(), 2),
                full.forgetting().mean() > lora.forgetting().mean()));
    }

    private static Optional<Claim> merged(CompareRow lora) {
        Double ratio = lora.tokenMs().mergedRatio();
        return ratio == null
                ? Optional.empty()
                : Optional.of(new Claim(
                        "merged, LoRA costs nothing at inference",
                        "at most x " + Units.fixed(ratio, 3) + " of the base's time a token, separate x "
                                + Units.fixed(lora.tokenMs().separateRatio(), 3),
                        ratio <= LATENCY));
    }

    private static Optional<Claim> ranks(List<CompareRow> rows) {
        List<CompareRow> lora = rows.stream()
                .filter(row -> row.method().equals("lora"))
                .sorted(Comparator.comparingLong(CompareRow::trainable))
                .toList();
        if (lora.size() < 2) {
            return Optional.empty();
        }
        CompareRow least = lora.getFirst();
        CompareRow largest = lora.getLast();
        return Optional.of(new Claim(
                "rank trades capacity for size",
                "held-out loss " + Units.fixed(least.loss().mean(), 3) + " at rank " + least.rank() + ", "
                        + Units.fixed(largest.loss().mean(), 3) + " at rank " + largest.rank() + ", "
                        + Units.bytes(least.bytesPerTask()) + " and " + Units.bytes(largest.bytesPerTask()),
                largest.loss().mean() < least.loss().mean()));
    }
}
