# -*- coding: gbk -*-
print("第一轮：损失 0.5")
