"""The 188 classes of JetClass-II in the order of `jet_label`, after the table of arXiv:2405.12972 and the published card.

A resonance X decays to two prongs, or to three or four through two others (X_YY); the letters are what the jet holds.
"""

_TWO_PRONGS = """
bb cc ss qq bc cs bq cq sq gg ee mm tauhtaue tauhtaum tauhtauh
"""
_MORE_PRONGS = """
bbbb bbcc bbss bbqq bbgg bbee bbmm bbtauhtaue bbtauhtaum bbtauhtauh bbb bbc bbs bbq bbg bbe bbm cccc ccss ccqq ccgg
ccee ccmm cctauhtaue cctauhtaum cctauhtauh ccb ccc ccs ccq ccg cce ccm ssss ssqq ssgg ssee ssmm sstauhtaue sstauhtaum
sstauhtauh ssb ssc sss ssq ssg sse ssm qqqq qqgg qqee qqmm qqtauhtaue qqtauhtaum qqtauhtauh qqb qqc qqs qqq qqg qqe
qqm gggg ggee ggmm ggtauhtaue ggtauhtaum ggtauhtauh ggb ggc ggs ggq ggg gge ggm bee cee see qee gee bmm cmm smm qmm
gmm btauhtaue ctauhtaue stauhtaue qtauhtaue gtauhtaue btauhtaum ctauhtaum stauhtaum qtauhtaum gtauhtaum btauhtauh
ctauhtauh stauhtauh qtauhtauh gtauhtauh qqqb qqqc qqqs bbcq ccbs ccbq ccsq sscq qqbc qqbs qqcs bcsq bcs bcq bsq csq
bcev csev bqev cqev sqev qqev bcmv csmv bqmv cqmv sqmv qqmv bctauev cstauev bqtauev cqtauev sqtauev qqtauev bctaumv
cstaumv bqtaumv cqtaumv sqtaumv qqtaumv bctauhv cstauhv bqtauhv cqtauhv sqtauhv qqtauhv
"""
_QCD = """
bbccss bbccs bbcc bbcss bbcs bbc bbss bbs bb bccss bccs bcc bcss bcs bc bss bs b ccss ccs cc css cs c ss s light
"""

CLASSES = (
    *(f"X_{prongs}" for prongs in _TWO_PRONGS.split()),
    *(f"X_YY_{prongs}" for prongs in _MORE_PRONGS.split()),
    *(f"QCD_{partons}" for partons in _QCD.split()),
)
